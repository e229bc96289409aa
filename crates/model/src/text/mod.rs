//! The text side of a model: tokenizer, chat template, conversations to tokens, tokens to text.
//!
//! `docs/design/tokens-and-templates.md` says why it is as it is.

mod alphabet;
mod answer;
mod chat;
mod cuts;
mod definition;
mod error;
mod gguf;
mod known_vocabularies;
mod load;
mod marks;
mod message;
mod model;
mod pace;
mod pieces;
mod plain;
mod pretokenizer;
mod request_templates;
mod runs;
mod sentencepiece;
mod specials;
mod stops;
mod template;
mod tokenizer;
mod trace;
mod utf8;
mod words;

pub(crate) use alphabet::byte_tokens;
pub use answer::{AnswerText, Delta, FinishedText};
pub use chat::{ChatRequest, EncodedPrompt};
pub use error::TextError;
pub use gguf::{GgufTokenizer, TokenType};
pub use message::{ChatMessage, Ending, StoredAnswer, Tool, ToolCall};
pub use model::TextModel;
pub use pace::Pace;
pub use request_templates::RequestTemplates;
pub use stops::{StopRule, StopStrings};
pub use template::{ChatDate, ChatTemplate, TemplateTokens};
pub use tokenizer::{Specials, Tokenizer};
