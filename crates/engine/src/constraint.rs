//! The constraint of an answer: the tokens that may come next, and the place that the answer has reached.

use attentionstore_model::sampling::TokenMask;

/// Says token by token what an answer may go on with: a grammar's matcher, for instance. It belongs to one sequence,
/// lives on the engine thread, and moves on only with tokens that became part of the answer: rows that are void, and
/// the history that is computed again after a preemption, leave it where it was.
pub trait MaskSource: Send {
    /// Allows in `mask`, which comes with no token allowed, those that may come next. Asked once before each token is
    /// sampled, and again for the same token if what was sampled is void. An answer for which no token is allowed ends.
    fn allow(&mut self, mask: &mut TokenMask);

    /// The answer went on with `token`.
    fn accept(&mut self, token: u32);
}

/// A source, and the mask that it filled last.
pub struct Constraint {
    source: Box<dyn MaskSource>,
    mask: TokenMask,
}

impl Constraint {
    pub fn new(source: Box<dyn MaskSource>) -> Self {
        Self { source, mask: TokenMask::new(0) }
    }

    /// Makes the mask over `vocabulary` tokens for the token to be sampled.
    pub fn prepare(&mut self, vocabulary: usize) {
        if self.mask.vocabulary() == vocabulary {
            self.mask.clear();
        } else {
            self.mask = TokenMask::new(vocabulary);
        }
        self.source.allow(&mut self.mask);
    }

    /// As it was prepared last.
    pub fn mask(&self) -> &TokenMask {
        &self.mask
    }

    pub fn accept(&mut self, token: u32) {
        self.source.accept(token);
    }
}
