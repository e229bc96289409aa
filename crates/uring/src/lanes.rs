//! The bounded queue in front of an engine: a lane for reads, and one for writes and syncs.
//!
//! Someone waits for a read; writes happen in the background. So reads go first, yet one write may always be
//! under way, or writes would starve; and writes never take all places, or a read would wait behind them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Operation;
use crate::request::Request;

pub(crate) struct Lanes {
    state: Mutex<State>,
    room: Condvar,
    work: Condvar,
    capacity: usize,
    writes_max: usize,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Request>,
    writes: VecDeque<Request>,
    writes_running: usize,
    closed: bool,
}

/// What [`Lanes::try_pop`] finds.
pub(crate) enum Next {
    Request(Request),
    /// Nothing may begin now.
    Nothing,
    /// Closed, and everything accepted has begun.
    Finished,
}

impl Lanes {
    /// `capacity` requests wait in each lane; at most half of `depth` (at least one) are writes under way.
    pub(crate) fn new(capacity: usize, depth: usize) -> Self {
        Self {
            state: Mutex::default(),
            room: Condvar::new(),
            work: Condvar::new(),
            capacity: capacity.max(1),
            writes_max: (depth / 2).max(1),
        }
    }

    /// Waits for room in the request's lane. Gives the request back if the queue is closed.
    pub(crate) fn push(&self, request: Request) -> Result<(), Request> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(request);
            }
            let lane = state.lane(request.operation);
            if lane.len() < self.capacity {
                lane.push_back(request);
                self.work.notify_one();
                return Ok(());
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What may begin now.
    pub(crate) fn try_pop(&self) -> Next {
        self.take(&mut self.lock())
    }

    /// Waits for something that may begin; `None` when closed and everything accepted has begun.
    pub(crate) fn pop(&self) -> Option<Request> {
        let mut state = self.lock();
        loop {
            match self.take(&mut state) {
                Next::Request(request) => return Some(request),
                Next::Finished => return None,
                Next::Nothing => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// To be called once for every request taken, when it is over.
    pub(crate) fn ended(&self, operation: Operation) {
        if operation != Operation::Read {
            self.lock().writes_running -= 1;
            self.work.notify_one();
        }
    }

    /// No more requests; those waiting for room are refused, those accepted go on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
        self.work.notify_all();
    }

    fn take(&self, state: &mut State) -> Next {
        let write_may_begin = state.writes_running < self.writes_max && !state.writes.is_empty();
        let write_is_due = state.writes_running == 0 || state.reads.is_empty();
        let taken = if write_may_begin && write_is_due {
            state.writes_running += 1;
            state.writes.pop_front()
        } else {
            state.reads.pop_front()
        };
        match taken {
            Some(request) => {
                self.room.notify_all();
                Next::Request(request)
            }
            None if state.closed && state.writes.is_empty() => {
                self.work.notify_all();
                Next::Finished
            }
            None => Next::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lane(&mut self, operation: Operation) -> &mut VecDeque<Request> {
        match operation {
            Operation::Read => &mut self.reads,
            Operation::Write | Operation::Sync => &mut self.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::buffer::AlignedBuffer;
    use crate::file::{Direct, IoFile};

    struct Bench(Arc<IoFile>, Lanes);

    impl Bench {
        fn new(capacity: usize, depth: usize) -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            Self(Arc::new(IoFile::open(file.path(), Direct::Never).unwrap()), Lanes::new(capacity, depth))
        }

        fn push(&self, operation: Operation) -> Result<(), Request> {
            let buffer = AlignedBuffer::zeroed(1).unwrap();
            self.1.push(match operation {
                Operation::Read => Request::read(self.0.clone(), 0, buffer, |_| {}),
                Operation::Write => Request::write(self.0.clone(), 0, buffer, |_| {}),
                Operation::Sync => Request::sync(self.0.clone(), |_| {}),
            })
        }

        fn pop(&self) -> Option<Operation> {
            match self.1.try_pop() {
                Next::Request(request) => Some(request.operation),
                Next::Nothing | Next::Finished => None,
            }
        }
    }

    #[test]
    fn reads_go_first_but_one_write_is_always_under_way() {
        let bench = Bench::new(8, 8);
        for operation in [Operation::Write, Operation::Write, Operation::Read, Operation::Read] {
            assert!(bench.push(operation).is_ok());
        }
        assert_eq!(bench.pop(), Some(Operation::Write));
        assert_eq!(bench.pop(), Some(Operation::Read));
        bench.1.ended(Operation::Write);
        assert_eq!(bench.pop(), Some(Operation::Write));
        assert_eq!(bench.pop(), Some(Operation::Read));
    }

    #[test]
    fn writes_and_syncs_take_at_most_half_of_the_places() {
        let bench = Bench::new(8, 4);
        for operation in [Operation::Write, Operation::Sync, Operation::Write] {
            assert!(bench.push(operation).is_ok());
        }
        assert_eq!(
            [bench.pop(), bench.pop(), bench.pop()],
            [Some(Operation::Write), Some(Operation::Sync), None]
        );
        assert!(bench.push(Operation::Read).is_ok());
        assert_eq!(bench.pop(), Some(Operation::Read));
        bench.1.ended(Operation::Sync);
        assert_eq!(bench.pop(), Some(Operation::Write));
    }

    #[test]
    fn a_full_lane_does_not_hold_up_the_other_one() {
        let bench = Bench::new(1, 2);
        assert!(bench.push(Operation::Write).is_ok());
        // Would hang if the lanes shared their room.
        assert!(bench.push(Operation::Read).is_ok());
    }

    #[test]
    fn a_closed_queue_refuses_and_is_finished_only_when_all_has_begun() {
        let bench = Bench::new(8, 1);
        assert!(bench.push(Operation::Write).is_ok() && bench.push(Operation::Write).is_ok());
        bench.1.close();
        assert!(bench.push(Operation::Read).is_err());
        assert_eq!(bench.pop(), Some(Operation::Write));
        assert!(matches!(bench.1.try_pop(), Next::Nothing));
        bench.1.ended(Operation::Write);
        assert_eq!(bench.pop(), Some(Operation::Write));
        assert!(matches!(bench.1.try_pop(), Next::Finished));
    }
}
