//! The forms in which a template is given calls of tools.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forms {
    /// The arguments of a call are JSON text; else they are an object.
    pub arguments_as_text: bool,
    /// A message of calls alone has `None` as its content; else an empty text.
    pub no_content: bool,
    /// The field of a message's reasoning.
    pub reasoning: &'static str,
}
