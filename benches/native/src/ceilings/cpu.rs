//! Arithmetic and host memory, on all threads at once.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::{F32_PEAK, MEMORY_COPY, MEMORY_READ, fma, memory};
use crate::report::{Recorder, Unit};
use crate::statistics::{Samples, timed};

const ROUNDS: usize = 5;

pub fn measure(recorder: &mut Recorder, threads: usize) {
    let rounds = if recorder.quick() { 3 } else { ROUNDS };
    if recorder.wants(F32_PEAK) {
        let flops = fma::FLOPS_PER_CALL * threads as f64;
        let samples = rates(rounds, threads, flops, |_| fma::run());
        recorder.ceiling(F32_PEAK, Unit::Gigaflops, samples);
    }
    if recorder.wants_any(&["memory"]) {
        measure_memory(recorder, threads, rounds);
    }
}

fn measure_memory(recorder: &mut Recorder, threads: usize, rounds: usize) {
    let buffers = memory::buffers(threads);
    let bytes = (threads * memory::BYTES) as f64;
    if recorder.wants(MEMORY_READ) {
        let samples = rates(rounds, threads, bytes, |thread| memory::read(&buffers[thread]));
        recorder.ceiling(MEMORY_READ, Unit::GigabytesASecond, samples);
    }
    if recorder.wants(MEMORY_COPY) {
        let samples = rates(rounds, threads, bytes / 2.0, |thread| memory::copy(&buffers[thread]));
        recorder.ceiling(MEMORY_COPY, Unit::GigabytesASecond, samples);
    }
    let alone = format!("{MEMORY_COPY}, one thread");
    if recorder.wants(&alone) && threads > 1 {
        let samples = rates(rounds, 1, memory::BYTES as f64 / 2.0, |thread| memory::copy(&buffers[thread]));
        recorder.ceiling(alone, Unit::GigabytesASecond, samples);
    }
}

/// 10⁹ units a second of each round, one round more going before: from the common start to the last end.
fn rates(rounds: usize, threads: usize, units: f64, work: impl Fn(usize) + Sync) -> Samples {
    let mut rates: Vec<f64> =
        (0..=rounds).map(|_| units / slowest(threads, &work).as_secs_f64() / 1e9).collect();
    rates.remove(0);
    Samples(rates)
}

fn slowest(threads: usize, work: &(impl Fn(usize) + Sync)) -> Duration {
    let barrier = Barrier::new(threads);
    let barrier = &barrier;
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    timed(|| work(thread)).1
                })
            })
            .collect();
        // A worker that panicked has said so itself; its round is as slow as can be.
        handles.into_iter().map(|handle| handle.join().unwrap_or(Duration::MAX)).max().unwrap_or_default()
    })
}
