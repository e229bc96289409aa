//! The place that one answer has reached in a grammar.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llguidance::api::StopReason;
use llguidance::{CancellationHandle, TokenParser, panic_utils};

use crate::error::detail_of;

/// The answer cannot be held to its grammar any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The grammar needs more work or memory for one token than is given.
    #[error("the grammar is too complex at this place of the answer: {detail}")]
    TooComplex { detail: String },
    /// Given up by [`Cancel::cancel`].
    #[error("the mask took too long")]
    Cancelled,
}

/// Ends the work of a matcher, now or later, from another thread.
#[derive(Clone, Default)]
pub struct Cancel {
    asked: Arc<AtomicBool>,
    /// Of the parser that works now.
    handle: Arc<Mutex<CancellationHandle>>,
}

impl Cancel {
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.handle().cancel();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// `handle` is that of the parser that works from now on.
    fn follow(&self, handle: CancellationHandle) {
        *self.handle() = handle;
        if self.is_asked() {
            self.handle().cancel();
        }
    }

    fn handle(&self) -> MutexGuard<'_, CancellationHandle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one answer. Masks are functions of the grammar and the tokens accepted.
///
/// A matcher derives lexer states of its own: with states in common, one answer's long mask would hold up all answers to
/// the same grammar. They are copied with the first mask, not where the matcher is made.
pub struct Matcher {
    parser: TokenParser,
    has_own_states: bool,
    cancel: Cancel,
    error: Option<MatcherError>,
}

impl Matcher {
    pub(crate) fn new(mut parser: TokenParser) -> Self {
        if parser.is_fresh() {
            parser.start_without_prompt();
        }
        Self { parser, has_own_states: false, cancel: Cancel::default(), error: None }
    }

    /// Allows in `words`, a bit a token and all 0, the tokens that may come next: end tokens exactly where the grammar
    /// may end here. No token: the answer cannot go on.
    ///
    /// # Errors
    /// [`MatcherError`], and from then on always.
    pub fn fill(&mut self, words: &mut [u32]) -> Result<(), MatcherError> {
        let ended = self.is_stopped();
        let mask = self.with_parser(|parser| {
            if ended {
                return Ok(Some(parser.token_env.tok_trie().eos_token_set()));
            }
            match parser.compute_mask() {
                Ok(mask) => Ok(Some(mask)),
                // A dead end of the grammar and the vocabulary.
                Err(_) if parser.stop_reason() == StopReason::NoExtensionBias => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        for (word, bits) in words.iter_mut().zip(mask.iter().flat_map(|mask| mask.as_slice())) {
            *word = *bits;
        }
        Ok(())
    }

    /// The answer went on with `token`, which the last mask allowed.
    ///
    /// # Errors
    /// As [`Matcher::fill`].
    pub fn accept(&mut self, token: u32) -> Result<(), MatcherError> {
        self.with_parser(|parser| {
            parser.consume_token(token)?;
            parser.check_stop().map(|_| ())
        })
    }

    /// The answer may end here.
    pub fn is_accepting(&mut self) -> bool {
        self.is_stopped() || self.parser.is_accepting()
    }

    /// Nothing but an end token may follow.
    pub fn is_stopped(&self) -> bool {
        matches!(self.parser.stop_reason(), StopReason::NoExtension | StopReason::EndOfSentence)
    }

    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    fn take_own_states(&mut self) {
        self.parser = self.parser.deep_clone();
        self.cancel.follow(self.parser.enable_cancellation());
        self.has_own_states = true;
    }

    fn with_parser<T>(
        &mut self,
        work: impl FnOnce(&mut TokenParser) -> anyhow::Result<T>,
    ) -> Result<T, MatcherError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !self.has_own_states {
            self.take_own_states();
        }
        let parser = &mut self.parser;
        let done = panic_utils::catch_unwind(AssertUnwindSafe(|| work(parser)));
        if self.cancel.is_asked() {
            self.error = Some(MatcherError::Cancelled);
            return Err(MatcherError::Cancelled);
        }
        done.map_err(|error| {
            let error = MatcherError::TooComplex { detail: detail_of(&error.to_string()) };
            self.error = Some(error.clone());
            error
        })
    }
}
