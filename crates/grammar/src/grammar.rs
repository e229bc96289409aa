//! A compiled source.

use llguidance::TokenParser;

use crate::matcher::Matcher;

/// What answers are held to.
pub struct Grammar {
    /// A parser at the beginning of the grammar, of which matchers are copies.
    start: TokenParser,
    source_bytes: usize,
}

impl Grammar {
    pub(crate) fn new(start: TokenParser, source_bytes: usize) -> Self {
        Self { start, source_bytes }
    }

    /// A matcher at the beginning.
    pub fn matcher(&self) -> Matcher {
        Matcher::new(self.start.clone())
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        self.source_bytes * 4 + self.start.parser.lexer_stats().num_bytes
    }
}
