//! The place that one answer has reached in a grammar.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
#[derive(Clone)]
pub struct Cancel(CancellationHandle);

impl Cancel {
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Follows one answer. Masks are functions of the grammar and the tokens accepted.
pub struct Matcher {
    parser: TokenParser,
    cancel: CancellationHandle,
    spent: Arc<AtomicBool>,
    error: Option<MatcherError>,
}

impl Matcher {
    pub(crate) fn new(mut parser: TokenParser, spent: Arc<AtomicBool>) -> Self {
        if parser.is_fresh() {
            parser.start_without_prompt();
        }
        let cancel = parser.enable_cancellation();
        Self { parser, cancel, spent, error: None }
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
        Cancel(self.cancel.clone())
    }

    fn with_parser<T>(
        &mut self,
        work: impl FnOnce(&mut TokenParser) -> anyhow::Result<T>,
    ) -> Result<T, MatcherError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let parser = &mut self.parser;
        let done = panic_utils::catch_unwind(AssertUnwindSafe(|| work(parser)));
        if self.cancel.is_cancelled() {
            self.error = Some(MatcherError::Cancelled);
            return Err(MatcherError::Cancelled);
        }
        done.map_err(|error| {
            // What is derived for one answer is derived for all.
            self.spent.store(true, Ordering::Relaxed);
            let error = MatcherError::TooComplex { detail: detail_of(&error.to_string()) };
            self.error = Some(error.clone());
            error
        })
    }
}
