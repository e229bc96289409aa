//! Work on its way to the engine thread, in one order.
//!
//! Transfers start between two layers of a running step, so they are taken apart from the commands. A plan may name
//! slots that transfers sent before it fill: it carries how many batches of transfers were sent before it, and is run
//! only when those have started.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use attentionstore_model::text::AnswerText;

use crate::error::EngineError;
use crate::plan::{StepPlan, Transfer};
use crate::sequence::SequenceSpec;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Changes the course of steps; kept in order.
pub enum Command {
    Add(Box<(SequenceSpec, AnswerText)>),
    Drop(u32),
    Plan(OrderedPlan),
}

/// A plan and its place among the transfers.
pub struct OrderedPlan {
    pub plan: StepPlan,
    /// Batches of transfers that were sent before it.
    pub after: u64,
}

/// The next thing to do.
pub enum Work {
    Transfers(Vec<Transfer>),
    Command(Command),
}

/// Any thread sends, the engine thread takes.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
    /// Puts a fault back for the model to find: plans do not wait for transfers, and the two queues are looked at in turn.
    #[cfg(feature = "shuttle")]
    overtaking: bool,
}

#[derive(Default)]
struct State {
    transfers: VecDeque<Vec<Transfer>>,
    /// Batches of transfers sent so far.
    sent: u64,
    commands: VecDeque<Command>,
    /// Plans among the commands.
    plans: usize,
    closed: bool,
}

impl Inbox {
    /// # Errors
    /// [`EngineError::Closed`] after [`Inbox::close`]; nothing was sent.
    pub fn add(&self, spec: SequenceSpec, answer: AnswerText) -> Result<(), EngineError> {
        self.command(|_| Command::Add(Box::new((spec, answer))))
    }

    /// # Errors
    /// As [`Inbox::add`].
    pub fn drop_sequence(&self, sequence: u32) -> Result<(), EngineError> {
        self.command(|_| Command::Drop(sequence))
    }

    /// # Errors
    /// As [`Inbox::add`].
    pub fn plan(&self, plan: StepPlan) -> Result<(), EngineError> {
        #[cfg(feature = "shuttle")]
        if self.overtaking {
            return self.command(|_| Command::Plan(OrderedPlan { plan, after: 0 }));
        }
        self.command(|sent| Command::Plan(OrderedPlan { plan, after: sent }))
    }

    /// Sends loads, saves and copies that start together.
    ///
    /// # Errors
    /// As [`Inbox::add`].
    pub fn transfers(&self, batch: Vec<Transfer>) -> Result<(), EngineError> {
        self.send(|state| {
            state.sent += 1;
            state.transfers.push_back(batch);
        })
    }

    /// Takes nothing any more. What was sent is still to be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Whether a plan waits.
    pub fn has_plan(&self) -> bool {
        self.lock().plans > 0
    }

    /// The next thing to do, transfers first; waits for it. `None`: closed, and everything was taken.
    pub fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.transfers.pop_front() {
                return Some(Work::Transfers(batch));
            }
            #[cfg(feature = "shuttle")]
            if self.overtaking {
                drop(state);
                state = self.lock();
            }
            if let Some(command) = state.commands.pop_front() {
                state.plans -= usize::from(matches!(command, Command::Plan(_)));
                return Some(Work::Command(command));
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next batch of transfers, if one has arrived.
    pub fn take_transfers(&self) -> Option<Vec<Transfer>> {
        self.lock().transfers.pop_front()
    }

    /// The next batch of transfers, or `None` when none arrives within `time`.
    pub fn wait_for_transfers(&self, time: Duration) -> Option<Vec<Transfer>> {
        let mut state = self.lock();
        if state.transfers.is_empty() {
            // A command wakes it too: its caller asks again.
            state = self.arrived.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.transfers.pop_front()
    }

    fn command(&self, command: impl FnOnce(u64) -> Command) -> Result<(), EngineError> {
        self.send(|state| {
            let command = command(state.sent);
            state.plans += usize::from(matches!(command, Command::Plan(_)));
            state.commands.push_back(command);
        })
    }

    fn send(&self, change: impl FnOnce(&mut State)) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.closed {
            return Err(EngineError::Closed);
        }
        change(&mut state);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "shuttle")]
impl Inbox {
    /// An inbox whose plans overtake transfers, for the model to find.
    #[cfg(test)]
    pub fn overtaking() -> Self {
        Self { overtaking: true, ..Self::default() }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn kinds(inbox: &Inbox, count: usize) -> String {
        let kind = |work| match work {
            Work::Transfers(_) => 't',
            Work::Command(Command::Plan(OrderedPlan { after, .. })) => (b'0' + after as u8) as char,
            Work::Command(_) => 'd',
        };
        (0..count).filter_map(|_| inbox.next()).map(kind).collect()
    }

    #[test]
    fn a_plan_says_how_many_batches_of_transfers_were_sent_before_it() {
        let inbox = Inbox::default();
        inbox.plan(StepPlan::default()).unwrap();
        inbox.transfers(Vec::new()).unwrap();
        inbox.drop_sequence(1).unwrap();
        inbox.plan(StepPlan::default()).unwrap();
        assert!(inbox.has_plan());
        assert_eq!(kinds(&inbox, 4), "t0d1");
        assert!(!inbox.has_plan());
    }

    #[test]
    fn after_close_what_was_sent_is_taken_and_nothing_more_is_sent() {
        let inbox = Inbox::default();
        inbox.drop_sequence(1).unwrap();
        inbox.close();
        assert_eq!(inbox.transfers(Vec::new()).unwrap_err().code(), "engine_closed");
        assert_eq!(kinds(&inbox, 3), "d");
    }

    #[test]
    fn a_wait_for_transfers_ends_without_one() {
        let inbox = Inbox::default();
        assert!(inbox.wait_for_transfers(Duration::ZERO).is_none());
        inbox.transfers(Vec::new()).unwrap();
        assert!(inbox.wait_for_transfers(Duration::ZERO).is_some());
    }
}
