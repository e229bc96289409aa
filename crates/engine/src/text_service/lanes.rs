//! The threads that work on text. Short texts have threads of their own, and long ones take turns, a portion each: a
//! small chat waits for no long prompt, and no long prompt for the whole of another.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Texts up to so many bytes are short: some milliseconds of work.
pub const SHORT_BYTES: usize = 64 << 10;
/// More long texts than these wait for one of them to end before they begin.
const MOST_BEGUN: usize = 64;
/// Stack of a thread that works on text. Templates and tokenizers need a tenth of it.
const STACK_BYTES: usize = 8 << 20;

/// Work on one text. It calls what it is given between two portions.
type Work = Box<dyn FnOnce(&mut dyn FnMut()) + Send>;

/// Threads for short and for long texts. Dropped, they end with the work they have.
pub struct Lanes {
    short: Sender<Work>,
    long: Arc<Turns>,
}

impl Lanes {
    /// As many texts of a kind are worked on at a time as a quarter of the processor's threads, from 1 to 4.
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with((threads / 4).clamp(1, 4))
    }

    fn with(width: usize) -> Self {
        let (short, works) = channel::<Work>();
        let works = Arc::new(Mutex::new(works));
        for _ in 0..width {
            let works = works.clone();
            let next = move || works.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
            spawn("text-short", move || std::iter::from_fn(next).for_each(|work| work(&mut || ())));
        }
        Self { short, long: Arc::new(Turns::new(width)) }
    }

    /// Has a text of `bytes` bytes worked on; returns at once.
    pub fn run(&self, bytes: usize, work: impl FnOnce(&mut dyn FnMut()) + Send + 'static) {
        if bytes > SHORT_BYTES {
            self.long.add(Box::new(work));
        } else if let Err(refused) = self.short.send(Box::new(work)) {
            // No thread could be started: the caller's own does it.
            (refused.0)(&mut || ());
        }
    }
}

/// Starts a thread. Where the system has none to give, what `main` owns is dropped.
fn spawn(name: &str, main: impl FnOnce() + Send + 'static) -> bool {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(main).is_ok()
}

/// Long texts, each on a thread, of which `width` work at a time: in a circle, a portion each.
struct Turns {
    width: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Texts whose threads wait for their turn, by ticket, the next one first.
    circle: VecDeque<u64>,
    next_ticket: u64,
    working: usize,
    /// Threads there are.
    begun: usize,
    /// Texts without a thread.
    waiting: VecDeque<Work>,
}

impl Turns {
    fn new(width: usize) -> Self {
        Self { width, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, work: Work) {
        let mut state = self.state();
        state.waiting.push_back(work);
        if state.begun == MOST_BEGUN {
            return;
        }
        state.begun += 1;
        drop(state);
        let turns = self.clone();
        if !spawn("text-long", move || turns.work()) {
            self.work();
        }
    }

    /// Works on one text after another until none waits.
    fn work(&self) {
        loop {
            let work = {
                let mut state = self.state();
                let Some(work) = state.waiting.pop_front() else {
                    state.begun -= 1;
                    return;
                };
                work
            };
            self.take_turn(self.state());
            work(&mut || self.pass_on());
            self.state().working -= 1;
            self.changed.notify_all();
        }
    }

    /// Lets the others have a portion each.
    fn pass_on(&self) {
        let mut state = self.state();
        if state.circle.is_empty() {
            return;
        }
        state.working -= 1;
        self.changed.notify_all();
        self.take_turn(state);
    }

    fn take_turn(&self, mut state: MutexGuard<'_, State>) {
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.circle.push_back(ticket);
        while state.working == self.width || state.circle.front() != Some(&ticket) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.circle.pop_front();
        state.working += 1;
        // The next one may find a free place too.
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = SHORT_BYTES + 1;

    #[test]
    fn a_short_text_is_done_while_long_ones_hold_every_turn() {
        let lanes = Lanes::with(1);
        let (short_done, wait_for_short) = channel::<()>();
        let (long_done, wait_for_long) = channel::<&str>();
        let first_done = long_done.clone();
        // Ends only once the short text is done: in one queue with it, neither would end.
        lanes.run(LONG, move |_| {
            wait_for_short.recv().unwrap();
            first_done.send("long").unwrap();
        });
        lanes.run(LONG, move |_| long_done.send("second long").unwrap());
        lanes.run(SHORT_BYTES, move |_| short_done.send(()).unwrap());
        assert_eq!(wait_for_long.recv(), Ok("long"));
        assert_eq!(wait_for_long.recv(), Ok("second long"));
    }

    #[test]
    fn long_texts_take_turns_a_portion_each() {
        let lanes = Lanes::with(1);
        let (log, lines) = channel::<(usize, usize)>();
        let (go, gate) = channel::<()>();
        // The first holds the turn until all are there.
        lanes.run(LONG, move |_| gate.recv().unwrap());
        for text in 0..3 {
            let log = log.clone();
            lanes.run(LONG, move |pause| {
                for portion in 0..4 {
                    log.send((text, portion)).unwrap();
                    pause();
                }
            });
        }
        drop(log);
        while lanes.long.state().circle.len() < 3 {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        let lines: Vec<(usize, usize)> = lines.iter().collect();
        for portion in 0..4 {
            let round = &lines[3 * portion..3 * portion + 3];
            assert!(round.iter().all(|line| line.1 == portion), "{lines:?}");
        }
    }

    #[test]
    fn more_long_texts_than_threads_are_all_done() {
        let lanes = Lanes::with(2);
        let (done, all) = channel::<usize>();
        for text in 0..3 * MOST_BEGUN {
            let done = done.clone();
            lanes.run(LONG, move |pause| {
                pause();
                done.send(text).unwrap();
            });
        }
        drop(done);
        let mut texts: Vec<usize> = all.iter().collect();
        texts.sort_unstable();
        assert_eq!(texts, (0..3 * MOST_BEGUN).collect::<Vec<_>>());
    }
}
