//! What is compiled.

use crate::error::GrammarError;
use crate::limits::{MOST_CHOICES, SOURCE_BYTES};

/// The rule that an answer is held to, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Any JSON object.
    JsonObject,
    /// The text of a JSON Schema.
    JsonSchema(String),
    /// A regular expression that the whole answer matches. `^` at its beginning and `$` at its end change nothing.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A grammar in Lark's notation, or in GBNF as llama.cpp writes it.
    Grammar(String),
    /// A grammar in Lark's notation that the server made, for calls of tools.
    Calls(String),
}

impl Source {
    /// For errors: a noun.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JsonObject | Self::JsonSchema(_) => "JSON Schema",
            Self::Regex(_) => "regular expression",
            Self::Choice(_) => "choice",
            Self::Grammar(_) => "grammar",
            Self::Calls(_) => "tools' schema",
        }
    }

    /// Bytes of its text.
    pub fn bytes(&self) -> usize {
        match self {
            Self::JsonObject => 0,
            Self::JsonSchema(text) | Self::Regex(text) | Self::Grammar(text) | Self::Calls(text) => {
                text.len()
            }
            Self::Choice(choices) => choices.iter().map(|choice| choice.len() + 1).sum(),
        }
    }

    /// # Errors
    /// More bytes or choices than one source may have.
    pub fn check_size(&self) -> Result<(), GrammarError> {
        if self.bytes() > SOURCE_BYTES {
            return Err(GrammarError::too_large(self.kind(), "bytes", self.bytes(), SOURCE_BYTES as u64));
        }
        match self {
            Self::Choice(choices) if choices.is_empty() => {
                Err(GrammarError::invalid(self.kind(), "it has no choices"))
            }
            Self::Choice(choices) if choices.len() > MOST_CHOICES => {
                Err(GrammarError::too_large(self.kind(), "choices", choices.len(), MOST_CHOICES as u64))
            }
            _ => Ok(()),
        }
    }
}
