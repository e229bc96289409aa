//! Arguments that come as keys with values of their own, written as one JSON object while they come.

use crate::body::literal;
use crate::json::{escape, quote};
use crate::part::Parts;
use crate::tool::Types;

/// Writes the object around the arguments.
#[derive(Debug, Default)]
pub(crate) struct ObjectWriter {
    any: bool,
}

impl ObjectWriter {
    pub fn key(&mut self, key: &str, parts: &mut Parts) {
        parts.arguments(if self.any { ", " } else { "{" });
        parts.arguments(&quote(key));
        parts.arguments(": ");
        self.any = true;
    }

    pub fn end(&mut self, parts: &mut Parts) {
        parts.arguments(if self.any { "}" } else { "{}" });
        self.any = false;
    }
}

/// Writes one value. Text streams; a value of another type is kept until its end, because only its end says whether it is
/// that type.
#[derive(Debug)]
pub(crate) struct ValueWriter {
    types: Types,
    kept: String,
}

impl ValueWriter {
    pub fn begin(types: Types, parts: &mut Parts) -> Self {
        if types == Types::TEXT {
            parts.arguments("\"");
        }
        Self { types, kept: String::new() }
    }

    pub fn push(&mut self, text: &str, parts: &mut Parts) {
        if self.types != Types::TEXT {
            self.kept.push_str(text);
            return;
        }
        let mut escaped = String::with_capacity(text.len());
        text.chars().for_each(|c| escape(c, &mut escaped));
        parts.arguments(&escaped);
    }

    pub fn end(self, parts: &mut Parts) {
        if self.types == Types::TEXT {
            parts.arguments("\"");
        } else {
            parts.arguments(&self.value());
        }
    }

    /// The kept text as JSON: as it is if it is JSON, else as a literal of Python, else as a string.
    fn value(&self) -> String {
        let text = self.kept.trim();
        let is_json = serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|value| !(self.types.text && value.is_string()));
        if is_json {
            return text.to_owned();
        }
        let literal = literal::to_json(text).filter(|value| !(self.types.text && value.starts_with('"')));
        literal.unwrap_or_else(|| quote(if self.types.text { &self.kept } else { text }))
    }
}
