//! Grammars: compiled on threads of their own, and answers that are held to them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use attentionstore_grammar::{
    Compiler, Counts, Grammar, GrammarError, Limits, Matcher, MatcherError, STACK_BYTES, Source, Vocabulary,
};
use attentionstore_model::sampling::TokenMask;
use attentionstore_model::text::Tokenizer;
use attentionstore_output::Format;

use crate::crew::{Crew, Lane};
use crate::error::EngineError;
use crate::mask_source::{Cancel, CannotGoOn, MaskSource};

/// Sources that wait to be compiled, or are.
const MOST_WAITING: usize = 256;
/// Compiling that takes longer goes on behind all other work.
const PATIENCE: Duration = Duration::from_millis(20);

/// The engine's compiler. It is made with the first source: a large vocabulary takes half a second.
pub(crate) struct Grammars {
    crew: Crew,
    shared: Arc<Shared>,
}

struct Shared {
    compiler: OnceLock<Result<Compiler, GrammarError>>,
    tokenizer: Arc<Tokenizer>,
    format: Arc<Format>,
    vocabulary: usize,
    end_tokens: Vec<u32>,
    waiting: AtomicUsize,
}

impl Grammars {
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        format: Arc<Format>,
        vocabulary: usize,
        end_tokens: Vec<u32>,
    ) -> Self {
        let compiler = OnceLock::new();
        let shared = Shared { compiler, tokenizer, format, vocabulary, end_tokens, waiting: AtomicUsize::new(0) };
        Self { crew: Crew::new("grammar", 1, PATIENCE, STACK_BYTES), shared: Arc::new(shared) }
    }

    /// Compiles `source` on a thread for grammars, which `done` is called on, and returns at once.
    pub fn compile(
        &self,
        source: Source,
        done: impl FnOnce(Result<Arc<Grammar>, EngineError>) + Send + 'static,
    ) {
        let shared = self.shared.clone();
        let waiting = shared.waiting.fetch_add(1, Relaxed);
        if waiting >= MOST_WAITING {
            shared.waiting.fetch_sub(1, Relaxed);
            return done(Err(EngineError::GrammarsBusy { waiting, limit: MOST_WAITING }));
        }
        self.crew.run(Lane::Quick, move || {
            let compiled = shared.compiler().and_then(|compiler| compiler.compile(&source));
            shared.waiting.fetch_sub(1, Relaxed);
            done(compiled.map_err(EngineError::from));
        });
    }

    pub fn counts(&self) -> Counts {
        match self.shared.compiler.get() {
            Some(Ok(compiler)) => compiler.counts(),
            _ => Counts::default(),
        }
    }
}

impl Shared {
    fn compiler(&self) -> Result<&Compiler, GrammarError> {
        self.compiler
            .get_or_init(|| Compiler::new(&self.vocabulary(), &Limits::default()))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn vocabulary(&self) -> Vocabulary {
        let mut vocabulary = Vocabulary::new(self.vocabulary, self.end_tokens.clone());
        for id in 0..self.tokenizer.vocab_size() as u32 {
            match self.tokenizer.token_bytes(id) {
                // Markers that are no special tokens are no ordinary text either.
                _ if self.tokenizer.is_special(id) || self.format.tokens().contains_key(&id) => {
                    vocabulary.special(id, self.tokenizer.raw_token_bytes(id))
                }
                Some(bytes) => vocabulary.text(id, bytes),
                None => {}
            }
        }
        vocabulary
    }
}

/// What holds one answer to `grammar`.
pub fn held_to(grammar: &Grammar) -> Box<dyn MaskSource> {
    Box::new(grammar.matcher())
}

impl MaskSource for Matcher {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
        mask.fill(|words| self.fill(words)).map_err(cannot_go_on)
    }

    fn accept(&mut self, token: u32) -> Result<(), CannotGoOn> {
        Matcher::accept(self, token).map_err(cannot_go_on)
    }

    fn cancel(&self) -> Option<Cancel> {
        let cancel = Matcher::cancel(self);
        Some(Box::new(move || cancel.cancel()))
    }
}

fn cannot_go_on(error: MatcherError) -> CannotGoOn {
    CannotGoOn { detail: error.to_string() }
}
