//! The constraint of an answer: the tokens that may come next, and the place that the answer has reached.
//!
//! Masks are made by [`MaskMakers`] while layers run. A source is with them from the moment that a token is accepted
//! until its next mask is ready; a row whose mask is not ready when sampling comes is late, and is not sampled.

use std::time::{Duration, Instant};

use attentionstore_model::sampling::TokenMask;

use crate::masks::{Making, MaskMakers, Work};

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

/// A mask that is late for this long, and for so many steps, is given up, and the answer with it.
const LATE_FOR: Duration = Duration::from_secs(2);
const LATE_STEPS: u32 = 16;

enum State {
    /// The constraint holds from a later token on.
    Waits(Work),
    Ready(Work),
    Making(Making),
    Ended(CannotGoOn),
}

/// A source, the mask that it filled last, and how long the next one takes.
pub struct Constraint {
    /// `None` only while it changes.
    state: Option<State>,
    cancel: Option<Cancel>,
    late: Option<Late>,
}

struct Late {
    since: Instant,
    steps: u32,
}

/// What is known of the mask for the next token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Not yet.
    Late,
    /// There will be none.
    Ended,
}

impl Constraint {
    /// Holds from [`Constraint::begin`] on.
    pub fn new(source: Box<dyn MaskSource>, vocabulary: usize) -> Self {
        let cancel = source.cancel();
        Self { state: Some(State::Waits(Work::new(source, vocabulary))), cancel, late: None }
    }

    /// Whether the tokens that come are held to it.
    pub fn has_begun(&self) -> bool {
        !matches!(self.state, Some(State::Waits(_)))
    }

    /// Holds from the next token on, unless it does already.
    pub fn begin(&mut self, makers: &MaskMakers) {
        self.state = match self.state.take() {
            Some(State::Waits(work)) => Some(State::Making(makers.make(work, None))),
            state => state,
        };
    }

    /// The answer went on with `token`: the next mask is made.
    pub fn accept(&mut self, token: u32, makers: &MaskMakers) {
        self.late = None;
        self.state = match self.state.take() {
            Some(State::Ready(work)) => Some(State::Making(makers.make(work, Some(token)))),
            state => state,
        };
    }

    /// Whether the mask is ready now.
    pub fn readiness(&mut self) -> Readiness {
        if let Some(State::Making(making)) = &self.state
            && let Some(made) = making.take()
        {
            self.state = Some(made.map_or_else(State::Ended, State::Ready));
        }
        match &self.state {
            Some(State::Making(_)) => Readiness::Late,
            Some(State::Ended(_)) => Readiness::Ended,
            _ => Readiness::Ready,
        }
    }

    /// A row was not sampled because the mask was late. A mask that is late for too long is given up.
    pub fn was_late(&mut self) {
        let late = self.late.get_or_insert_with(|| Late { since: Instant::now(), steps: 0 });
        late.steps += 1;
        if late.steps >= LATE_STEPS && late.since.elapsed() >= LATE_FOR {
            if let Some(cancel) = &self.cancel {
                cancel();
            }
            self.state = Some(State::Ended(CannotGoOn { detail: "a mask took too long".to_owned() }));
        }
    }

    /// Its last row was not sampled.
    pub fn is_late(&self) -> bool {
        self.late.is_some()
    }

    /// The mask for the next token; `None`: any may come.
    pub fn mask(&self) -> Option<&TokenMask> {
        match &self.state {
            Some(State::Ready(work)) => Some(&work.mask),
            _ => None,
        }
    }
}

impl Drop for Constraint {
    fn drop(&mut self) {
        // Nothing waits for what is being made.
        if let (Some(State::Making(_)), Some(cancel)) = (&self.state, &self.cancel) {
            cancel();
        }
    }
}
