//! What is read from a template's source without running it.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// Literals shorter than this cut too much and inspect too little.
const MIN_LITERAL_BYTES: usize = 3;
/// More literals than this are left alone.
const MAX_LITERALS: usize = 256;

/// Most tokens between `{{` and `}}`, or `{%` and `%}`: an expression is compiled with a stack frame an operator.
const MAX_TAG_TOKENS: usize = 1_000;
/// Most `elif`s: each is compiled inside the one before.
const MAX_ELIFS: usize = 500;

/// Says what in a source goes on for longer than it may.
pub(super) fn too_long(source: &str, syntax: SyntaxConfig) -> Option<String> {
    let (mut tokens, mut elifs) = (0, 0);
    // What the lexer cannot read, the compiler reports.
    for (token, span) in tokenize(source, false, syntax).map_while(Result::ok) {
        match token {
            Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") if tokens == 0 => elifs += 1,
            _ => tokens += 1,
        }
        if tokens > MAX_TAG_TOKENS || elifs > MAX_ELIFS {
            let line = span.start_line;
            return Some(format!(
                "line {line}: a tag may have {MAX_TAG_TOKENS} tokens, and a template {MAX_ELIFS} \"elif\""
            ));
        }
    }
    None
}

/// Replaces `{% generation %} … {% endgeneration %}` (marks for training) by a block that is always taken, with
/// the white space around it treated as the tags say.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        result.push_str(before);
        let Some(end) = tag.find("%}").map(|end| end + 2) else {
            result.push_str(tag);
            return result;
        };
        let inner = &tag[2..end - 2];
        let word = inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
        match word {
            "generation" => result.push_str(&format!("{{%{}%}}", inner.replace("generation", "if true"))),
            "endgeneration" => result.push_str(&format!("{{%{}%}}", inner.replace("endgeneration", "endif"))),
            _ => result.push_str(&tag[..end]),
        }
        rest = &tag[end..];
    }
    result.push_str(rest);
    result
}

/// The string literals of the source by which it could split or search a message: those with punctuation in them,
/// such as `</think>`, longest first.
pub(super) fn inspected_literals(source: &str) -> Vec<String> {
    let mut literals: Vec<String> = string_literals(source)
        .into_iter()
        .filter(|literal| {
            literal.len() >= MIN_LITERAL_BYTES && literal.chars().any(|c| c.is_ascii_punctuation())
        })
        .collect();
    literals.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    literals.dedup();
    literals.truncate(MAX_LITERALS);
    literals
}

/// Quoted strings inside `{{ … }}` and `{% … %}`.
fn string_literals(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut chars = source.chars().peekable();
    let mut inside = false;
    while let Some(char) = chars.next() {
        match (inside, char, chars.peek()) {
            (false, '{', Some('{' | '%')) => inside = true,
            (true, '}' | '%', Some('}')) => inside = false,
            (true, quote @ ('\'' | '"'), _) => literals.push(string_literal(quote, &mut chars)),
            _ => {}
        }
    }
    literals
}

fn string_literal(quote: char, chars: &mut impl Iterator<Item = char>) -> String {
    let mut literal = String::new();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') => literal.push('\n'),
                Some('t') => literal.push('\t'),
                Some('r') => literal.push('\r'),
                Some(other) => literal.push(other),
                None => break,
            },
            _ if char == quote => break,
            _ => literal.push(char),
        }
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_plain_blocks_and_keep_their_white_space_marks() {
        let source = "a{%- generation -%} b {%+ endgeneration %}c{% if x %}d{% endif %}";
        assert_eq!(without_generation_tags(source), "a{%- if true -%} b {%+ endif %}c{% if x %}d{% endif %}");
        assert_eq!(without_generation_tags("{% generation"), "{% generation");
    }

    #[test]
    fn literals_are_taken_from_code_only_and_unescaped() {
        let source = "'<out>' {{ x.split('</think>')[0] + \"\\n\" }} {% if '<a\\'b>' in x %}'no'{% endif %}";
        assert_eq!(inspected_literals(source), ["</think>", "<a'b>"]);
    }
}
