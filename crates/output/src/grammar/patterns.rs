//! Texts that a schema's `pattern` holds, where arguments are no JSON.

use serde_json::Value;

use super::{Rules, pattern};
use crate::symbol::Element;
use crate::tool::{Tool, resolve};

/// The pattern of a text argument. It holds where the tool is strict: one that the compiler does not understand is an error.
pub(crate) fn held<'a>(tool: &Tool, schema: &'a Value, root: &'a Value) -> Option<&'a str> {
    if tool.strict { resolve(schema, root)["pattern"].as_str() } else { None }
}

/// A text that `expression` matches, up to `close` with that marker: as a schema's `pattern` it is searched for where it has no
/// anchors. `inside` is the marker without the newlines that belong to it, by which the reader ends the text: the text does not
/// have it.
pub(crate) fn text_until(
    expression: &str,
    name: &str,
    (close, inside): (&str, &str),
    rules: &mut Rules<'_>,
) -> String {
    let marker = rules.format.marker(close);
    let is_text = !marker.elements().iter().any(|element| matches!(element, Element::Token { .. }));
    let without = if is_text { format!(r" & ~/(.|\n)*{}(.|\n)*/", pattern(inside)) } else { String::new() };
    let terminal = rules.numbered("HELD", &format!("{}{without}", whole(expression)));
    rules.terminal_until(&terminal, name, &marker)
}

/// A text that `expression` matches.
pub(crate) fn text(expression: &str, rules: &mut Rules<'_>) -> String {
    let body = whole(expression);
    rules.numbered("HELD", &body)
}

/// An expression in Lark's notation that matches the whole of each text that `expression` is found in.
fn whole(expression: &str) -> String {
    let (inside, begins) = match expression.strip_prefix('^') {
        Some(rest) => (rest, ""),
        None => (expression, r"(.|\n)*"),
    };
    let escapes = inside.strip_suffix('$').map(|rest| rest.len() - rest.trim_end_matches('\\').len());
    let (inside, ends) = match escapes {
        Some(escapes) if escapes % 2 == 0 => (&inside[..inside.len() - 1], ""),
        _ => (inside, r"(.|\n)*"),
    };
    format!("/{begins}(?:{}){ends}/", slashed(inside))
}

/// An expression as it stands between slashes, with classes of ASCII, as in JSON Schema.
fn slashed(expression: &str) -> String {
    let mut written = String::new();
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('d') => written.push_str("[0-9]"),
                Some('D') => written.push_str("[^0-9]"),
                Some('w') => written.push_str("[0-9A-Za-z_]"),
                Some('W') => written.push_str("[^0-9A-Za-z_]"),
                Some('s') => written.push_str(r"[ \t\n\r\f\v]"),
                Some('S') => written.push_str(r"[^ \t\n\r\f\v]"),
                escaped => {
                    written.push('\\');
                    written.extend(escaped);
                }
            },
            '/' => written.push_str(r"\/"),
            '\n' => written.push_str(r"\n"),
            '\r' => written.push_str(r"\r"),
            '\t' => written.push_str(r"\t"),
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_searched_for_unless_it_has_anchors() {
        let cases = [
            ("^a$", "/(?:a)/"),
            ("a", r"/(.|\n)*(?:a)(.|\n)*/"),
            (r"^a\$", r"/(?:a\$)(.|\n)*/"),
            (r"^a\\$", r"/(?:a\\)/"),
            ("^a/b\n\\/$", r"/(?:a\/b\n\/)/"),
            (r"^\d[^\s]\\d$", r"/(?:[0-9][^[ \t\n\r\f\v]]\\d)/"),
        ];
        for (expression, expected) in cases {
            assert_eq!(whole(expression), expected);
        }
    }
}
