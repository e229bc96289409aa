//! Whether a batch of copies has arrived: told once by a thread of the backend, asked by the engine thread.

use std::sync::{Arc, PoisonError};

use crate::sync::{Condvar, Mutex};

/// Runs once it is known how a batch ended; `true`: all of it arrived.
pub type Follower = Box<dyn FnOnce(bool) + Send>;

/// How a batch ended.
#[derive(Default)]
pub struct Arrival {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    arrived: Option<bool>,
    followers: Vec<Follower>,
}

impl Arrival {
    /// `None`: still on its way.
    pub fn arrived(&self) -> Option<bool> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).arrived
    }

    /// Waits for the end of a batch whose copies are all enqueued.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(arrived) = state.arrived {
                return arrived;
            }
            state = self.told.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls `follower` when the batch has ended, at once if it has.
    pub fn then(&self, follower: Follower) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.arrived {
            Some(arrived) => {
                drop(state);
                follower(arrived);
            }
            None => state.followers.push(follower),
        }
    }

    fn tell(&self, arrived: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.arrived = Some(arrived);
        let followers = std::mem::take(&mut state.followers);
        drop(state);
        self.told.notify_all();
        followers.into_iter().for_each(|follower| follower(arrived));
    }
}

/// The end that tells. Dropped without a word, it tells that the batch has failed: a backend may lose a completion with
/// the thread that was to call it.
pub struct Teller(Option<Arc<Arrival>>);

impl Teller {
    pub fn new(arrival: &Arc<Arrival>) -> Self {
        Self(Some(arrival.clone()))
    }

    pub fn tell(mut self, arrived: bool) {
        if let Some(arrival) = self.0.take() {
            arrival.tell(arrived);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(arrival) = self.0.take() {
            arrival.tell(false);
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_teller_that_is_lost_tells_of_a_failure_and_followers_hear_it_once() {
        let (arrival, heard) = (Arc::new(Arrival::default()), Arc::new(AtomicUsize::new(0)));
        let follower = |heard: &Arc<AtomicUsize>| -> Follower {
            let heard = heard.clone();
            Box::new(move |arrived| {
                assert!(!arrived);
                heard.fetch_add(1, Ordering::Relaxed);
            })
        };
        arrival.then(follower(&heard));
        assert_eq!(arrival.arrived(), None);
        drop(Teller::new(&arrival));
        arrival.then(follower(&heard));
        assert_eq!((arrival.wait(), heard.load(Ordering::Relaxed)), (false, 2));
    }

    #[test]
    fn the_first_word_of_a_teller_stays() {
        let arrival = Arc::new(Arrival::default());
        Teller::new(&arrival).tell(true);
        assert_eq!(arrival.arrived(), Some(true));
    }
}
