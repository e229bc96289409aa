//! The parts of a model that its chats are encoded with.

use attentionstore_output::Format;

use super::super::template::ChatTemplate;
use super::super::tokenizer::Tokenizer;

/// Turns conversations of one model into tokens.
#[derive(Clone, Copy)]
pub(crate) struct Encoder<'m> {
    pub tokenizer: &'m Tokenizer,
    pub template: &'m ChatTemplate,
    /// Tokens that templates end turns with.
    pub turn_ends: &'m [u32],
    pub format: &'m Format,
}
