//! A few threads that run one job at a time together with the caller: they spin a moment for the next one, then
//! park. Tasks are handed out by a counter; which thread runs which task never shows in any result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How often an idle thread looks for work before it parks: some tens of microseconds, longer than the gaps
/// between two jobs of a step.
const SPINS: u32 = 4096;

/// A task of the current job panicked. The job's other tasks ran or were dropped; the pool stays usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskPanicked;

/// Threads for jobs of independent tasks.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// A job as the workers see it: the tasks' function, its lifetime erased.
#[derive(Clone, Copy)]
struct Job {
    run: *const (dyn Fn(usize, usize) + Sync),
    tasks: usize,
}

/// `state` is `generation << 32 | OPEN | joined workers`. A worker may read `job` only between joining an open
/// generation and leaving it; the caller writes `job` only while nobody is joined and nothing is open.
struct Shared {
    state: AtomicU64,
    next_task: AtomicUsize,
    panicked: AtomicBool,
    job: std::cell::UnsafeCell<Option<Job>>,
    stop: AtomicBool,
    parked: AtomicUsize,
    lock: Mutex<()>,
    work: Condvar,
    left: Condvar,
}

// SAFETY: `job` is guarded by `state` as described above; all else is atomic or locked.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is only followed while the caller of `run` keeps its target alive.
unsafe impl Send for Shared {}

const OPEN: u64 = 1 << 31;
const JOINED: u64 = OPEN - 1;

impl Pool {
    /// A pool of `threads` threads, the caller being one of them.
    pub fn new(threads: usize) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next_task: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            job: std::cell::UnsafeCell::new(None),
            stop: AtomicBool::new(false),
            parked: AtomicUsize::new(0),
            lock: Mutex::new(()),
            work: Condvar::new(),
            left: Condvar::new(),
        });
        let mut pool = Pool { shared, workers: Vec::new() };
        for worker in 1..threads.max(1) {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("compute-{worker}"));
            pool.workers.push(thread.spawn(move || shared.work_until_stopped(worker))?);
        }
        Ok(pool)
    }

    /// Threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `run(task, thread)` for every task below `tasks` and returns when all are done. `thread` is below
    /// [`Pool::threads`] and never used by two tasks at once.
    ///
    /// # Errors
    /// A task panicked.
    pub fn run(&mut self, tasks: usize, run: &(dyn Fn(usize, usize) + Sync)) -> Result<(), TaskPanicked> {
        let shared = &*self.shared;
        shared.panicked.store(false, Ordering::Relaxed);
        shared.next_task.store(0, Ordering::Relaxed);
        let job = Job { run: erase_lifetime(run), tasks };
        if tasks > 1 && !self.workers.is_empty() {
            shared.open(job);
            shared.run_tasks(job, 0);
            shared.close();
        } else {
            shared.run_tasks(job, 0);
        }
        if shared.panicked.load(Ordering::Relaxed) { Err(TaskPanicked) } else { Ok(()) }
    }
}

/// The pool's workers outlive any borrow that the type could name; `Shared::close` keeps them from using it
/// after `run` returns.
fn erase_lifetime<'a>(run: &'a (dyn Fn(usize, usize) + Sync + 'a)) -> *const (dyn Fn(usize, usize) + Sync) {
    // SAFETY: only the lifetime changes; see above.
    unsafe {
        std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + 'a), *const (dyn Fn(usize, usize) + Sync)>(
            run,
        )
    }
}

impl Shared {
    /// Publishes `job` and wakes parked workers.
    fn open(&self, job: Job) {
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: nothing is open and nobody is joined, so no worker reads `job`.
        unsafe { *self.job.get() = Some(job) };
        let generation = (state >> 32).wrapping_add(1) << 32;
        self.state.store(generation | OPEN, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) > 0 {
            let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.work.notify_all();
        }
    }

    /// Lets no further worker join and waits for those that did.
    fn close(&self) {
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        for _ in 0..SPINS {
            if self.state.load(Ordering::Acquire) & JOINED == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.state.load(Ordering::Acquire) & JOINED != 0 {
            guard = self.left.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs tasks until none is left. A panic drops what was not yet begun.
    fn run_tasks(&self, job: Job, thread: usize) {
        // SAFETY: the caller of `run` waits in `close` until every thread has left this function.
        let run = unsafe { &*job.run };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next_task.fetch_add(1, Ordering::Relaxed);
                if task >= job.tasks {
                    return;
                }
                run(task, thread);
            }
        }));
        if outcome.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
            self.next_task.store(job.tasks, Ordering::Relaxed);
        }
    }

    fn work_until_stopped(&self, thread: usize) {
        let mut seen = 0;
        while let Some(state) = self.next_job(seen) {
            seen = state >> 32;
            if self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // Another worker joined meanwhile, or the job is closed: look again.
                seen = seen.wrapping_sub(1);
                continue;
            }
            // SAFETY: joined, so `job` is set and not written until this worker leaves.
            if let Some(job) = unsafe { *self.job.get() } {
                self.run_tasks(job, thread);
            }
            self.leave();
        }
    }

    fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & (OPEN | JOINED) == 1 {
            // The last one of a closed job: the caller may be waiting.
            let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.left.notify_all();
        }
    }

    /// The state of an open job of another generation than `seen`; `None` when the pool is dropped.
    fn next_job(&self, seen: u64) -> Option<u64> {
        let fresh = |state: u64| state & OPEN != 0 && state >> 32 != seen;
        for _ in 0..SPINS {
            let state = self.state.load(Ordering::Acquire);
            if fresh(state) {
                return Some(state);
            }
            std::hint::spin_loop();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.parked.fetch_add(1, Ordering::SeqCst);
        let found = loop {
            if self.stop.load(Ordering::SeqCst) {
                break None;
            }
            let state = self.state.load(Ordering::SeqCst);
            if fresh(state) {
                break Some(state);
            }
            guard = self.work.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        self.parked.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
        found
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.stop.store(true, Ordering::SeqCst);
            self.shared.work.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker cannot panic outside a caught task; nothing to report here.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{Pool, TaskPanicked};

    #[test]
    fn runs_every_task_exactly_once_whatever_the_thread_count() {
        for threads in 1..=4 {
            let mut pool = Pool::new(threads).unwrap();
            for tasks in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
                pool.run(tasks, &|task, thread| {
                    assert!(thread < threads);
                    counts[task].fetch_add(1, Ordering::Relaxed);
                })
                .unwrap();
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_jobs_in_a_row_lose_no_task() {
        let mut pool = Pool::new(3).unwrap();
        let sum = AtomicU32::new(0);
        for _ in 0..5000 {
            pool.run(4, &|task, _| {
                sum.fetch_add(task as u32, Ordering::Relaxed);
            })
            .unwrap();
        }
        assert_eq!(sum.load(Ordering::Relaxed), 5000 * 6);
    }

    #[test]
    fn a_panicking_task_is_an_error_and_the_pool_goes_on() {
        let mut pool = Pool::new(2).unwrap();
        let outcome = pool.run(8, &|task, _| assert!(task != 3, "expected by the test"));
        assert_eq!(outcome, Err(TaskPanicked));
        assert_eq!(pool.run(8, &|_, _| ()), Ok(()));
    }
}
