//! The constraint of an answer: the tokens that may come next, and the place that the answer has reached.
//!
//! Masks are made by [`MaskMakers`] while layers run. A source is with them from the moment that a token is accepted
//! until its next mask is ready; a row whose mask is not ready when sampling comes is late, and is not sampled.

use std::time::{Duration, Instant};

use attentionstore_model::sampling::TokenMask;

use crate::mask_source::{Cancel, MaskSource};
use crate::masks::{Making, MaskMakers, Work};

/// A mask that is late for this long, and for so many steps, is given up, and the answer with it.
const LATE_FOR: Duration = Duration::from_secs(5);
const LATE_STEPS: u32 = 16;

enum State {
    /// The constraint holds from a later token on.
    Waits(Work),
    Ready(Work),
    Making(Making),
    Ended,
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

/// The state of the mask for the next token.
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
            self.state = Some(made.map_or(State::Ended, State::Ready));
        }
        match &self.state {
            Some(State::Making(_)) => Readiness::Late,
            Some(State::Ended) => Readiness::Ended,
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
            self.state = Some(State::Ended);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mask_source::CannotGoOn;
    use crate::stats::Meters;

    /// Allows the token after the last accepted one.
    struct Next(u32);

    impl MaskSource for Next {
        fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
            mask.allow(self.0 + 1);
            Ok(())
        }

        fn accept(&mut self, token: u32) -> Result<(), CannotGoOn> {
            assert_eq!(token, self.0 + 1);
            self.0 = token;
            Ok(())
        }
    }

    fn wait(constraint: &mut Constraint, makers: &MaskMakers) {
        while !makers.wait(Duration::from_secs(60), || constraint.readiness() != Readiness::Late) {}
    }

    #[test]
    fn until_it_begins_any_token_may_come_and_none_is_told_to_the_source() {
        let makers = MaskMakers::new(Arc::new(Meters::new()));
        let mut constraint = Constraint::new(Box::new(Next(6)), 40);
        assert!(!constraint.has_begun());
        assert_eq!((constraint.readiness(), constraint.mask()), (Readiness::Ready, None));
        // The tokens of its reasoning.
        constraint.accept(30, &makers);
        constraint.accept(31, &makers);
        assert_eq!((constraint.readiness(), constraint.mask()), (Readiness::Ready, None));
        constraint.begin(&makers);
        assert!(constraint.has_begun());
        for token in 7..10 {
            wait(&mut constraint, &makers);
            let mask = constraint.mask().expect("it has begun");
            let allowed: Vec<u32> = (0..40).filter(|token| mask.allows(*token)).collect();
            assert_eq!(allowed, [token]);
            // A second beginning changes nothing.
            constraint.begin(&makers);
            constraint.accept(token, &makers);
        }
    }
}
