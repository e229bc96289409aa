//! Sources for constraints, from the engine's callers.

use std::sync::Arc;

use attentionstore_grammar::{Grammar, GrammarError, Source};
use attentionstore_output::{Choice, Tool};

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// The source that holds an answer to calls of `tools` in the model's own form.
    ///
    /// # Errors
    /// Nothing to hold to: no tool of the name that must be called, or no call is forced and no tool is strict.
    pub fn calls(&self, tools: &[Tool], choice: &Choice, parallel: bool) -> Result<Source, EngineError> {
        let grammar = self.text().format().grammar(tools, choice, parallel);
        grammar.map(Source::Calls).ok_or_else(|| {
            let detail = "no tool is to be called".to_owned();
            GrammarError::Invalid { kind: "tools' schema", detail }.into()
        })
    }

    /// Compiles `source` on a thread for grammars, which `done` is called on, and returns at once.
    pub fn compile(
        &self,
        source: Source,
        done: impl FnOnce(Result<Arc<Grammar>, EngineError>) + Send + 'static,
    ) {
        self.grammars.compile(source, done);
    }
}
