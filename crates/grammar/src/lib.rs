//! What an answer may go on with: grammars, JSON Schemas, regular expressions and choices, compiled for a vocabulary,
//! and the masks that they give token by token.
//!
//! A [`Compiler`] is made once a model. A [`Grammar`] is what a [`Source`] compiles to, shared by all answers that are
//! held to it; a [`Matcher`] is the place that one answer has reached in it. Everything is bounded, and what is not done
//! is refused by name: sources come from clients.

mod cache;
mod compiler;
mod error;
mod gbnf;
mod grammar;
mod limits;
mod matcher;
mod schema;
mod source;
mod vocabulary;

pub use compiler::{Compiler, Counts};
pub use error::GrammarError;
pub use grammar::Grammar;
pub use limits::{Limits, SOURCE_BYTES, STACK_BYTES};
pub use matcher::{Cancel, Matcher, MatcherError};
pub use source::Source;
pub use vocabulary::Vocabulary;
