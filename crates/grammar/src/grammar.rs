//! A compiled source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llguidance::TokenParser;

use crate::matcher::Matcher;

/// What answers are held to. They share the states that their lexers have derived.
pub struct Grammar {
    /// A parser at the beginning of the grammar, of which matchers are copies.
    start: TokenParser,
    spent: Arc<AtomicBool>,
    source_bytes: usize,
}

impl Grammar {
    pub(crate) fn new(start: TokenParser, source_bytes: usize) -> Self {
        Self { start, spent: Arc::default(), source_bytes }
    }

    /// A matcher at the beginning.
    pub fn matcher(&self) -> Matcher {
        Matcher::new(self.start.clone(), self.spent.clone())
    }

    /// A matcher reached a bound in the states that all share: others would reach it too.
    pub fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        let states = self.start.parser.lexer_stats();
        self.source_bytes * 4 + states.num_bytes
    }
}
