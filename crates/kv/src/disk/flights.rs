//! What is under way in the disk tier: the bounds of the queues, the flush barrier, and waiting for the end.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::KvError;

/// One mutex guards it all, so that a flush and the writes before it are never out of step.
pub(super) struct Flights<F> {
    state: Mutex<State<F>>,
    idle: Condvar,
    limit: usize,
}

struct State<F> {
    reads: usize,
    /// Numbers of the writes under way, in the order in which they were accepted.
    writes: BTreeSet<u64>,
    next_write: u64,
    /// Flushes that wait for writes accepted before them: all writes numbered below the first part.
    waiting: Vec<(u64, F)>,
    /// Flushes waiting or at the engine.
    flushes: usize,
    closed: bool,
    /// An end may never come: nobody waits for what is under way.
    given_up: bool,
}

impl<F> Flights<F> {
    /// At most `limit` reads, writes and flushes each.
    pub(super) fn new(limit: usize) -> Self {
        let state = State {
            reads: 0,
            writes: BTreeSet::new(),
            next_write: 0,
            waiting: Vec::new(),
            flushes: 0,
            closed: false,
            given_up: false,
        };
        Self { state: Mutex::new(state), idle: Condvar::new(), limit: limit.max(1) }
    }

    pub(super) fn begin_read(&self) -> Result<(), KvError> {
        let mut state = self.lock();
        self.admit(&state, state.reads, "read")?;
        state.reads += 1;
        Ok(())
    }

    /// Accepts a write and gives it its number.
    pub(super) fn begin_write(&self) -> Result<u64, KvError> {
        let mut state = self.lock();
        self.admit(&state, state.writes.len(), "write")?;
        let number = state.next_write;
        state.next_write += 1;
        state.writes.insert(number);
        Ok(number)
    }

    /// Accepts a flush. It comes back at once if no write is under way, else from [`Flights::end_write`].
    pub(super) fn begin_flush(&self, flush: F) -> Result<Option<F>, KvError> {
        let mut state = self.lock();
        self.admit(&state, state.flushes, "flush")?;
        state.flushes += 1;
        if state.writes.is_empty() {
            return Ok(Some(flush));
        }
        let before = state.next_write;
        state.waiting.push((before, flush));
        Ok(None)
    }

    pub(super) fn end_read(&self) {
        let mut state = self.lock();
        state.reads -= 1;
        self.tell_if_idle(&state);
    }

    /// Ends write `number`, and gives back the flushes that waited for it last.
    pub(super) fn end_write(&self, number: u64) -> Vec<F> {
        let mut state = self.lock();
        state.writes.remove(&number);
        let oldest = state.writes.first().copied().unwrap_or(u64::MAX);
        let ready = state.waiting.extract_if(.., |(before, _)| *before <= oldest).map(|(_, f)| f).collect();
        self.tell_if_idle(&state);
        ready
    }

    pub(super) fn end_flush(&self) {
        let mut state = self.lock();
        state.flushes -= 1;
        self.tell_if_idle(&state);
    }

    /// Accepts nothing any more, and waits until nothing is under way.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        while !state.is_idle() {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread that was to end a transfer has panicked: accepts nothing any more, and [`Flights::close`] waits no longer.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        (state.closed, state.given_up) = (true, true);
        self.idle.notify_all();
    }

    fn admit(&self, state: &State<F>, under_way: usize, direction: &'static str) -> Result<(), KvError> {
        if state.closed {
            return Err(KvError::Closed);
        }
        if under_way >= self.limit {
            return Err(KvError::QueueFull { direction, limit: self.limit });
        }
        Ok(())
    }

    fn tell_if_idle(&self, state: &State<F>) {
        if state.is_idle() {
            self.idle.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> State<F> {
    fn is_idle(&self) -> bool {
        self.given_up || (self.reads == 0 && self.writes.is_empty() && self.flushes == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_waits_for_the_writes_before_it_and_for_no_others() {
        let flights = Flights::new(8);
        let (first, second) = (flights.begin_write().unwrap(), flights.begin_write().unwrap());
        assert_eq!(flights.begin_flush("flush").unwrap(), None);
        let later = flights.begin_write().unwrap();
        assert!(flights.end_write(second).is_empty());
        assert_eq!(flights.end_write(first), ["flush"]);
        assert!(flights.end_write(later).is_empty());
    }

    #[test]
    fn a_flush_without_writes_under_way_begins_at_once() {
        let flights = Flights::new(1);
        assert_eq!(flights.begin_flush("flush").unwrap(), Some("flush"));
        assert_eq!(flights.begin_flush("second").unwrap_err().code(), "kv_queue_full");
    }

    #[test]
    fn what_is_over_the_bound_is_refused_and_room_comes_back() {
        let flights = Flights::<()>::new(2);
        flights.begin_read().unwrap();
        flights.begin_read().unwrap();
        assert_eq!(flights.begin_read().unwrap_err().code(), "kv_queue_full");
        let write = flights.begin_write().unwrap();
        flights.end_read();
        flights.begin_read().unwrap();
        flights.end_write(write);
    }

    #[test]
    fn what_was_given_up_is_not_waited_for() {
        let flights = Flights::<()>::new(2);
        flights.begin_write().unwrap();
        flights.give_up();
        flights.close();
        assert_eq!(flights.begin_read().unwrap_err().code(), "kv_closed");
    }

    #[test]
    fn after_close_nothing_is_accepted() {
        let flights = Flights::<()>::new(2);
        flights.close();
        flights.close();
        assert_eq!(flights.begin_read().unwrap_err().code(), "kv_closed");
        assert_eq!(flights.begin_write().unwrap_err().code(), "kv_closed");
        assert_eq!(flights.begin_flush(()).unwrap_err().code(), "kv_closed");
    }
}
