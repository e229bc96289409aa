//! Repeated measurements, and what is said of them.

use std::time::{Duration, Instant};

/// The figures of several rounds, in the order in which they were taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The middle one; of an even number the mean of the two in the middle. NaN without any.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.len() % 2) {
            (None, _) => f64::NAN,
            (Some(&upper), 1) => upper,
            (Some(&upper), _) => (sorted[middle - 1] + upper) / 2.0,
        }
    }

    pub fn low(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn high(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Figures of `rounds` calls after `warm_ups` that do not count.
///
/// # Errors
/// The first error of `measure`.
pub fn repeat<E>(
    warm_ups: usize,
    rounds: usize,
    mut measure: impl FnMut() -> Result<f64, E>,
) -> Result<Samples, E> {
    for _ in 0..warm_ups {
        measure()?;
    }
    (0..rounds).map(|_| measure()).collect::<Result<_, _>>().map(Samples)
}

/// What `work` returns, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// GB/s.
pub fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_an_odd_number_and_between_two_of_an_even() {
        assert_eq!(Samples(vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples(vec![9.0, 1.0, 2.0, 4.0]).median(), 3.0);
        assert!(Samples(Vec::new()).median().is_nan());
        assert_eq!((Samples(vec![9.0, 1.0]).low(), Samples(vec![9.0, 1.0]).high()), (1.0, 9.0));
    }

    #[test]
    fn warm_ups_are_not_counted_and_an_error_ends_the_rounds() {
        let mut calls = 0.0;
        let samples = repeat::<()>(2, 3, || {
            calls += 1.0;
            Ok(calls)
        });
        assert_eq!(samples, Ok(Samples(vec![3.0, 4.0, 5.0])));
        assert_eq!(repeat(0, 3, || Err("full")), Err("full"));
    }
}
