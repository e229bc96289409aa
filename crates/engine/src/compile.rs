//! Sources for constraints, from the engine's callers.

use std::sync::Arc;

use attentionstore_grammar::{Grammar, Source};

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// Compiles `source` on a thread for grammars, which `done` is called on, and returns at once.
    pub fn compile(
        &self,
        source: Source,
        done: impl FnOnce(Result<Arc<Grammar>, EngineError>) + Send + 'static,
    ) {
        self.grammars.compile(source, done);
    }
}
