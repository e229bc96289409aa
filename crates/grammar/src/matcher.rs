//! The place that one answer has reached in a grammar.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llguidance::{CancellationHandle, Matcher as Library};

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
    library: Library,
    spent: Arc<AtomicBool>,
}

impl Matcher {
    pub(crate) fn new(library: Library, spent: Arc<AtomicBool>) -> Self {
        Self { library, spent }
    }

    /// Allows in `words`, a bit a token and all 0, the tokens that may come next: end tokens exactly where the grammar
    /// may end here. No token: the answer cannot go on.
    ///
    /// # Errors
    /// [`MatcherError`]; the matcher is of no use afterwards.
    pub fn fill(&mut self, words: &mut [u32]) -> Result<(), MatcherError> {
        match self.library.compute_mask_or_eos() {
            Ok(mask) => {
                for (word, bits) in words.iter_mut().zip(mask.as_slice()) {
                    *word = *bits;
                }
                Ok(())
            }
            // Nothing can follow: a dead end of the grammar and the vocabulary.
            Err(_) if self.library.stop_reason() == llguidance::api::StopReason::NoExtensionBias => Ok(()),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// The answer went on with `token`, which the last mask allowed.
    ///
    /// # Errors
    /// As [`Matcher::fill`].
    pub fn accept(&mut self, token: u32) -> Result<(), MatcherError> {
        self.library.consume_token(token).map_err(|error| self.failure(&error.to_string()))
    }

    /// The answer may end here.
    pub fn is_accepting(&mut self) -> bool {
        self.library.is_accepting().unwrap_or(false)
    }

    /// Nothing but an end token may follow.
    pub fn is_stopped(&self) -> bool {
        self.library.is_stopped()
    }

    pub fn cancel(&self) -> Option<Cancel> {
        self.library.cancellation_handle().map(Cancel)
    }

    fn failure(&self, message: &str) -> MatcherError {
        if self.library.is_cancelled() {
            return MatcherError::Cancelled;
        }
        self.spent.store(true, Ordering::Relaxed);
        MatcherError::TooComplex { detail: detail_of(message) }
    }
}
