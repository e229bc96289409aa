//! A JSON Schema before it is compiled: its size, and the keywords that are not done.
//!
//! llguidance ignores keywords that the draft of `$schema` does not know, so those that any draft knows and that are
//! not done are looked for here.

use serde_json::{Map, Value};

use crate::error::GrammarError;
use crate::limits::{
    ENUM_VALUES, MOST_ITEMS, MOST_LENGTH, MOST_REPEATS, MOST_RULES, SCHEMA_DEPTH, SCHEMA_PARTS,
};
use crate::source::Source;

/// Keywords that change what is valid and are not done.
const UNDONE: [&str; 17] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
    // Options of the library, not of the client.
    "x-guidance",
];
/// Keywords whose value is a map of schemas, a list of schemas, or a schema or a list of them.
const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
const SCHEMAS: [&str; 7] =
    ["items", "additionalItems", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf"];
const ITEM_COUNTS: [&str; 4] = ["minItems", "maxItems", "minProperties", "maxProperties"];
const LENGTHS: [&str; 2] = ["minLength", "maxLength"];

/// The schema that `text` is, without keywords that say nothing.
pub fn parse(source: &Source, text: &str) -> Result<Value, GrammarError> {
    let mut schema: Value =
        serde_json::from_str(text).map_err(|error| GrammarError::invalid(source.kind(), error))?;
    check(source, &schema)?;
    leave_out_idle(&mut schema);
    Ok(schema)
}

/// `uniqueItems: false` is what an array without the keyword has, and llguidance refuses it.
fn is_idle(name: &str, value: &Value) -> bool {
    name == "uniqueItems" && *value == Value::Bool(false)
}

fn leave_out_idle(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.retain(|name, value| !is_idle(name, value));
    for (name, value) in fields {
        match value {
            Value::Object(inner) if MAPS.contains(&name.as_str()) => {
                inner.values_mut().for_each(leave_out_idle);
            }
            Value::Array(list) if SCHEMAS.contains(&name.as_str()) => {
                list.iter_mut().for_each(leave_out_idle)
            }
            inner if SCHEMAS.contains(&name.as_str()) => leave_out_idle(inner),
            _ => {}
        }
    }
}

/// # Errors
/// A schema with more parts than is allowed, or with keywords that are not done.
pub fn check(source: &Source, schema: &Value) -> Result<(), GrammarError> {
    let mut walk = Walk { source, parts: 0, values: 0 };
    walk.schema(schema, "#", 0)
}

struct Walk<'a> {
    source: &'a Source,
    parts: usize,
    values: usize,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, place: &str, depth: usize) -> Result<(), GrammarError> {
        self.parts += 1;
        self.bound("schemas inside it", self.parts as u64, SCHEMA_PARTS as u64)?;
        self.bound("levels of schemas inside each other", depth as u64, SCHEMA_DEPTH as u64)?;
        let Value::Object(fields) = schema else { return Ok(()) };
        self.keywords(fields, place)?;
        for (name, value) in fields {
            let place = format!("{place}/{name}");
            if MAPS.contains(&name.as_str()) {
                for (key, inner) in value.as_object().into_iter().flatten() {
                    self.schema(inner, &format!("{place}/{key}"), depth + 1)?;
                }
                if name == "patternProperties" {
                    let mut patterns = value.as_object().into_iter().flatten();
                    patterns.try_for_each(|(pattern, _)| check_pattern(self.source, pattern, &place))?;
                }
            } else if SCHEMAS.contains(&name.as_str()) {
                match value {
                    Value::Array(list) => {
                        for (at, inner) in list.iter().enumerate() {
                            self.schema(inner, &format!("{place}/{at}"), depth + 1)?;
                        }
                    }
                    inner => self.schema(inner, &place, depth + 1)?,
                }
            }
        }
        Ok(())
    }

    fn keywords(&mut self, fields: &Map<String, Value>, place: &str) -> Result<(), GrammarError> {
        for (name, value) in fields {
            let name = name.as_str();
            if UNDONE.contains(&name) && !is_idle(name, value) {
                return Err(self.unsupported(name, place));
            }
            match (name, value) {
                ("enum", Value::Array(values)) => {
                    self.values += values.len();
                    self.bound("values in enum", self.values as u64, ENUM_VALUES as u64)?;
                }
                ("pattern", Value::String(pattern)) => check_pattern(self.source, pattern, place)?,
                ("$ref", Value::String(target)) if !target.starts_with('#') => {
                    return Err(self.unsupported("$ref to another document", place));
                }
                (_, Value::Number(number)) if ITEM_COUNTS.contains(&name) => {
                    self.number("as a number of items or properties", number, MOST_ITEMS)?;
                }
                (_, Value::Number(number)) if LENGTHS.contains(&name) => {
                    self.number("as a number of characters", number, MOST_LENGTH)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn number(&self, of: &'static str, number: &serde_json::Number, limit: u64) -> Result<(), GrammarError> {
        match number.as_f64() {
            Some(value) if value <= limit as f64 => Ok(()),
            _ => Err(GrammarError::too_large(self.source.kind(), of, number, limit)),
        }
    }

    fn bound(&self, of: &'static str, found: u64, limit: u64) -> Result<(), GrammarError> {
        if found <= limit {
            Ok(())
        } else {
            Err(GrammarError::too_large(self.source.kind(), of, found, limit))
        }
    }

    fn unsupported(&self, name: &str, place: &str) -> GrammarError {
        GrammarError::Unsupported {
            kind: self.source.kind(),
            name: name.to_owned(),
            place: place.chars().take(200).collect(),
        }
    }
}

/// Checks the schemas that stand in a Lark grammar, and that it has nothing of the library's own formats.
pub fn check_inside(source: &Source, lark: &str) -> Result<(), GrammarError> {
    // A rule begins a line.
    let rules = lark.lines().filter(|line| line.contains(':')).count();
    if rules > MOST_RULES {
        return Err(GrammarError::too_large(source.kind(), "rules", rules, MOST_RULES as u64));
    }
    let line_of = |at: usize| format!("line {}", lark[..at].matches('\n').count() + 1);
    if let Some(at) = lark.find("%llguidance") {
        let name = "%llguidance".to_owned();
        return Err(GrammarError::Unsupported { kind: source.kind(), name, place: line_of(at) });
    }
    // Clients' patterns for texts that are no JSON stand in terminals of the server's grammars.
    if let Source::Calls(_) = source {
        for (at, body) in
            lark.lines().enumerate().filter_map(|(at, line)| Some((at, line.split_once(": /")?.1)))
        {
            check_pattern(source, body, &format!("line {}", at + 1))?;
        }
    }
    for (at, keyword) in lark.match_indices("%json") {
        let rest = &lark[at + keyword.len()..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        // Text that is not JSON is inside a string or a comment, or the library refuses it.
        if let Some(Ok(mut schema)) = values.next() {
            // The server's own grammars set the library's options; no client's reach them.
            if let (Source::Calls(_), Value::Object(fields)) = (source, &mut schema) {
                fields.remove("x-guidance");
            }
            check(source, &schema)?;
        }
    }
    Ok(())
}

/// Checks how large a regular expression is with its counted repetitions written out.
pub fn check_pattern(source: &Source, pattern: &str, place: &str) -> Result<(), GrammarError> {
    let size = written_out(pattern);
    if size <= MOST_LENGTH {
        return Ok(());
    }
    let kind = source.kind();
    let detail = format!(
        "at {place} repetitions stand for {size} characters; the limit is {MOST_LENGTH}, and {MOST_REPEATS} for one count"
    );
    Err(GrammarError::TooComplex { kind, detail })
}

/// Atoms of a pattern whose `{n,m}` are written out; saturating.
fn written_out(pattern: &str) -> u64 {
    // The sums of the groups that are open, and the size of the last atom of each.
    let mut groups: Vec<(u64, u64)> = vec![(0, 0)];
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                rest.next();
                atom(&mut groups, 1);
            }
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => {
                in_class = true;
                atom(&mut groups, 1);
            }
            '(' => groups.push((0, 0)),
            ')' if groups.len() > 1 => {
                let (sum, last) = groups.pop().unwrap_or_default();
                atom(&mut groups, sum.saturating_add(last).max(1));
            }
            '{' => {
                let counts: String = rest.by_ref().take_while(|&character| character != '}').collect();
                let most = counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max();
                let group = groups.last_mut().expect("the pattern itself is a group");
                let most = most.unwrap_or(if counts.chars().all(|c| c.is_ascii_digit() || c == ',') {
                    u64::MAX
                } else {
                    1
                });
                let factor = if most > MOST_REPEATS { u64::MAX } else { most.max(1) };
                group.1 = group.1.saturating_mul(factor);
            }
            '*' | '+' | '?' | '|' | '^' | '$' => {}
            _ => atom(&mut groups, 1),
        }
    }
    groups.iter().fold(0, |total: u64, (sum, last)| total.saturating_add(*sum).saturating_add(*last))
}

fn atom(groups: &mut [(u64, u64)], size: u64) {
    let (sum, last) = groups.last_mut().expect("the pattern itself is a group");
    *sum = sum.saturating_add(*last);
    *last = size;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_multiply_where_they_are_nested_and_add_up_where_they_are_not() {
        for (pattern, size) in [
            ("abc", 3),
            ("a{3}b{4}", 7),
            ("(ab){5}", 10),
            ("((a{10}){10}){10}", 1000),
            (r"[{}]{7}\{8", 9),
            ("a{1,}", 1),
            ("a{99999}", u64::MAX),
            ("a{99999999999999999999999}", u64::MAX),
        ] {
            assert_eq!(written_out(pattern), size, "{pattern}");
        }
    }
}
