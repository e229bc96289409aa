//! Why a source is refused.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// More than is taken. `of` names the quantity, such as "values in enum".
    #[error("The {kind} has {found} {of}; the limit is {limit}.")]
    TooLarge { kind: &'static str, of: &'static str, found: String, limit: u64 },
    /// A part of its notation that is not done. `name` is the keyword or construct, `place` where it stands.
    #[error("The {kind} uses {name} at {place}, which is not supported.")]
    Unsupported { kind: &'static str, name: String, place: String },
    /// It is not well formed, or nothing satisfies it.
    #[error("The {kind} cannot be used: {detail}")]
    Invalid { kind: &'static str, detail: String },
    /// It is well formed, and takes more work or memory to compile than is given to one.
    #[error("The {kind} is too complex: {detail}")]
    TooComplex { kind: &'static str, detail: String },
}

impl GrammarError {
    /// A stable name for this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "grammar_too_large",
            Self::Unsupported { .. } => "grammar_unsupported",
            Self::Invalid { .. } => "grammar_invalid",
            Self::TooComplex { .. } => "grammar_too_complex",
        }
    }

    pub(crate) fn too_large(kind: &'static str, of: &'static str, found: impl ToString, limit: u64) -> Self {
        Self::TooLarge { kind, of, found: found.to_string(), limit }
    }

    pub(crate) fn invalid(kind: &'static str, detail: impl ToString) -> Self {
        Self::Invalid { kind, detail: detail.to_string() }
    }
}

/// Longest part of a library's message that is passed on.
const MOST_DETAIL: usize = 400;

/// What a library says of a source: its first lines, without its state.
pub(crate) fn detail_of(message: &str) -> String {
    let end = message.find("\n<").unwrap_or(message.len());
    let text = message[..end].replace("<non-verbose/>", "");
    let mut detail: String = text.trim().chars().take(MOST_DETAIL).collect();
    if detail.len() < text.trim().len() {
        detail.push('…');
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_message_is_cut_to_what_it_says() {
        assert_eq!(detail_of("bad rule\n<state>\nTokens\n</state>"), "bad rule");
        assert_eq!(detail_of(&"x".repeat(500)).chars().count(), MOST_DETAIL + 1);
    }
}
