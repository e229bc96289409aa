//! What says which tokens may come.

use attentionstore_model::sampling::TokenMask;

/// Says token by token what an answer may go on with: a grammar's matcher, for instance. It belongs to one sequence,
/// and moves on only with tokens that became part of the answer: rows that are void or late, and the history that is
/// computed again after a preemption, leave it where it was. It is called on threads of its own, one call at a time.
pub trait MaskSource: Send {
    /// Allows in `mask`, which comes with no token allowed, those that may come next. Asked once for each token. An answer
    /// for which no token is allowed ends.
    ///
    /// # Errors
    /// [`CannotGoOn`]: the answer ends, and the source is not asked again.
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn>;

    /// The answer went on with `token`.
    ///
    /// # Errors
    /// As [`MaskSource::allow`].
    fn accept(&mut self, token: u32) -> Result<(), CannotGoOn>;

    /// Ends a call that takes too long, from another thread.
    fn cancel(&self) -> Option<Cancel> {
        None
    }
}

/// Ends the work of a source.
pub type Cancel = Box<dyn Fn() + Send + Sync>;

/// An answer cannot be held to its constraint any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotGoOn {
    pub detail: String,
}
