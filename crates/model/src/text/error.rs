//! Why a conversation cannot be turned into tokens: a closed list, each with a stable code.

use crate::ModelError;

/// Errors of one request; nothing here says that the model itself is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("this model has no chat template; it answers /v1/completions only")]
    NoTemplate,
    /// The template called `raise_exception`: it does not take this conversation.
    #[error("the chat template refuses this conversation: {message}")]
    Refused { message: String },
    #[error("the chat template failed: {detail}")]
    Failed { detail: String },
    #[error("the chat template ran out of fuel ({fuel} units)")]
    OutOfFuel { fuel: u64 },
    #[error("the chat template wrote more than {limit} bytes")]
    OutputTooLong { limit: usize },
    /// The rendered text holds special tokens of which it cannot be said that the template wrote them.
    #[error(
        "the chat template changes message {message} so that its text cannot be told from the template's own, \
         and it contains text of special tokens"
    )]
    Untraceable { message: usize },
    /// The same of the tools, or of the template's arguments.
    #[error(
        "the chat template changes {what} so that their text cannot be told from the template's own, and they contain \
         text of special tokens"
    )]
    UntraceableValues { what: &'static str },
    #[error(
        "{name:?} cannot be given to the chat template: it is a variable of the template's own, or no name of a variable"
    )]
    Argument { name: String },
    #[error(
        "tools, their arguments and the template's arguments have {values} values together; the limit is {most}"
    )]
    TooManyValues { values: usize, most: usize },
    #[error("{what}: {detail}")]
    Json { what: &'static str, detail: String },
    /// The last message cannot be continued.
    #[error(
        "the chat template does not write the last message's content as it is, so the answer cannot continue it"
    )]
    NotContinuable,
    #[error("message {message}: role {role:?} is not a word of lower-case letters")]
    Role { message: usize, role: String },
    #[error("the prompt has at least {at_least} tokens, and at most {most} were asked for")]
    TooLong { at_least: usize, most: usize },
    #[error("stop strings must not be empty")]
    EmptyStop,
    #[error("token {id} is not in the vocabulary")]
    UnknownToken { id: u32 },
    #[error("tokenizer: {detail}")]
    Tokenizer { detail: String },
}

impl TextError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            TextError::NoTemplate => "template_missing",
            TextError::Refused { .. } => "template_refused",
            TextError::Failed { .. } => "template_failed",
            TextError::OutOfFuel { .. } => "template_fuel",
            TextError::OutputTooLong { .. } => "template_output",
            TextError::Untraceable { .. } => "template_untraceable",
            TextError::UntraceableValues { .. } => "template_untraceable",
            TextError::Argument { .. } => "template_argument",
            TextError::TooManyValues { .. } | TextError::Json { .. } => "template_values",
            TextError::NotContinuable => "template_not_continuable",
            TextError::Role { .. } => "invalid_role",
            TextError::TooLong { .. } => "prompt_too_long",
            TextError::EmptyStop => "invalid_stop",
            TextError::UnknownToken { .. } => "unknown_token",
            TextError::Tokenizer { .. } => "tokenizer",
        }
    }
}

impl From<TextError> for ModelError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Role { .. } => ModelError::Invalid { what: "role", detail: error.to_string() },
            TextError::TooLong { .. } => ModelError::Invalid { what: "prompt", detail: error.to_string() },
            TextError::EmptyStop => ModelError::Invalid { what: "stop", detail: error.to_string() },
            TextError::UnknownToken { .. } => {
                ModelError::Invalid { what: "token", detail: error.to_string() }
            }
            TextError::Tokenizer { detail } => ModelError::Invalid { what: "tokenizer", detail },
            template => ModelError::Template { detail: template.to_string() },
        }
    }
}
