//! Threads for work that is mostly short and sometimes long, beside a computation that wants every processor.
//!
//! Work begins with the priority of other threads. What runs longer than the crew's patience goes on with the lowest
//! priority there is, and another thread takes its place; work that is known to be long begins there.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// Which threads do a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Quick,
    Slow,
}

/// The lowest priority: such a thread gets a hundredth of a processor that others want.
const LOWEST: i32 = 19;
/// Threads that work on with the lowest priority; while there are as many, no other takes the place of a slow one.
const MOST_DEMOTED: usize = 4;

type Task = Box<dyn FnOnce() + Send>;

/// Dropped, its threads end with the work they have.
pub struct Crew(Arc<Shared>);

struct Shared {
    name: &'static str,
    width: usize,
    patience: Duration,
    stack_bytes: usize,
    state: Mutex<State>,
    /// Work was given.
    arrived: Condvar,
    /// Quick work has begun.
    began: Condvar,
}

#[derive(Default)]
struct State {
    quick: VecDeque<Task>,
    slow: VecDeque<Task>,
    /// Quick work under way, by ticket.
    running: HashMap<u64, Running>,
    next_ticket: u64,
    /// Threads that take quick work.
    quick_threads: usize,
    idle: usize,
    demoted: usize,
    has_slow_thread: bool,
    has_watch: bool,
    closed: bool,
}

struct Running {
    thread: Pid,
    since: Instant,
}

impl Crew {
    /// `width` threads take quick work. Threads begin with the first work.
    pub fn new(name: &'static str, width: usize, patience: Duration, stack_bytes: usize) -> Self {
        let (state, arrived, began) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self(Arc::new(Shared { name, width, patience, stack_bytes, state, arrived, began }))
    }

    /// Has `work` done, in the order of a lane; returns at once.
    pub fn run(&self, lane: Lane, work: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        match lane {
            Lane::Quick => {
                state.quick.push_back(Box::new(work));
                if state.idle < state.quick.len() && state.quick_threads < self.0.width {
                    self.0.start_quick(&mut state);
                }
                if !state.has_watch {
                    state.has_watch = self.0.start("watch", Shared::watch);
                }
            }
            Lane::Slow => {
                state.slow.push_back(Box::new(work));
                if !state.has_slow_thread {
                    state.has_slow_thread = self.0.start("slow", Shared::work_slowly);
                }
            }
        }
        self.0.arrived.notify_all();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
        self.0.began.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, kind: &str, main: impl FnOnce(&Arc<Self>) + Send + 'static) -> bool {
        let own = self.clone();
        let thread = Builder::new().name(format!("{}-{kind}", self.name)).stack_size(self.stack_bytes);
        thread.spawn(move || main(&own)).is_ok()
    }

    fn start_quick(self: &Arc<Self>, state: &mut State) {
        state.quick_threads += usize::from(self.start("quick", Self::work_quickly));
    }

    /// Takes quick work until the crew is dropped, or until a piece of work has cost this thread its priority.
    fn work_quickly(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.quick.pop_front() {
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                state.running.insert(ticket, Running { thread: gettid(), since: Instant::now() });
                drop(state);
                self.began.notify_one();
                task();
                state = self.lock();
                if state.running.remove(&ticket).is_none() {
                    state.demoted -= 1;
                    return;
                }
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    fn work_slowly(self: &Arc<Self>) {
        // Refused, it works like any other thread.
        let _ = setpriority_process(Some(gettid()), LOWEST);
        let mut state = self.lock();
        loop {
            if let Some(task) = state.slow.pop_front() {
                drop(state);
                task();
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Demotes the threads whose work takes longer than the crew's patience.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.closed {
            let longest = state.running.iter().min_by_key(|(_, running)| running.since);
            let Some((&ticket, running)) = longest.filter(|_| state.demoted < MOST_DEMOTED) else {
                state = self.began.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (thread, left) = (running.thread, self.patience.saturating_sub(running.since.elapsed()));
            if left.is_zero() {
                state.running.remove(&ticket);
                state.demoted += 1;
                state.quick_threads -= 1;
                // A priority that cannot be lowered leaves it in the way, and the work is done all the same.
                let _ = setpriority_process(Some(thread), LOWEST);
                self.start_quick(&mut state);
            } else {
                state = self.began.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// Time that this thread has had a processor for; in the quick lane, where little takes one away, by the clock.
pub fn processor_time(lane: Lane) -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    let by_kernel = if lane == Lane::Slow { told() } else { None };
    by_kernel.unwrap_or_else(|| START.elapsed())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_that_takes_too_long_holds_up_no_other_work() {
        let crew = Crew::new("test", 1, Duration::from_millis(1), 1 << 20);
        let (go, gate) = channel::<()>();
        let (done, all) = channel::<u32>();
        let first = done.clone();
        // Ends only once the others are done: on the crew's only thread, neither would end.
        crew.run(Lane::Quick, move || {
            gate.recv().unwrap();
            first.send(0).unwrap();
        });
        for task in 1..4 {
            let done = done.clone();
            crew.run(Lane::Quick, move || done.send(task).unwrap());
        }
        assert_eq!((all.recv(), all.recv(), all.recv()), (Ok(1), Ok(2), Ok(3)));
        go.send(()).unwrap();
        assert_eq!(all.recv(), Ok(0));
    }

    #[test]
    fn slow_work_is_done_in_its_order_on_one_thread() {
        let crew = Crew::new("test", 1, Duration::from_millis(1), 1 << 20);
        let (done, all) = channel::<(u32, std::thread::ThreadId)>();
        for task in 0..20 {
            let done = done.clone();
            crew.run(Lane::Slow, move || done.send((task, std::thread::current().id())).unwrap());
        }
        drop(done);
        let told: Vec<(u32, std::thread::ThreadId)> = (0..20).map(|_| all.recv().unwrap()).collect();
        assert!(told.iter().zip(0..).all(|(&(task, thread), at)| task == at && thread == told[0].1));
    }

    #[test]
    fn a_dropped_crew_does_the_work_that_it_has() {
        let crew = Crew::new("test", 1, Duration::from_secs(3600), 1 << 20);
        let (done, all) = channel::<u32>();
        for task in 0..20 {
            let done = done.clone();
            crew.run(if task % 2 == 0 { Lane::Quick } else { Lane::Slow }, move || done.send(task).unwrap());
        }
        drop((crew, done));
        assert_eq!(all.iter().count(), 20);
    }
}
