//! Prints `{"threads":N,"f32_gflops":X,"read_gbps":Y}`: the peaks that the engine's figures are shares of.
//! Usage: attentionstore-machine THREADS

mod fma;
mod read;

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Best of this many rounds: a peak is what the machine can do, not what it did on average.
const ROUNDS: usize = 5;

/// Runs `work` on all threads at once and returns the shortest time from the common start to the last end.
fn best_time(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let barrier = Barrier::new(threads);
            std::thread::scope(|scope| {
                let handles: Vec<_> = (0..threads)
                    .map(|thread| {
                        let (barrier, work) = (&barrier, &work);
                        scope.spawn(move || {
                            barrier.wait();
                            let start = Instant::now();
                            work(thread);
                            start.elapsed()
                        })
                    })
                    .collect();
                handles.into_iter().map(|handle| handle.join().expect("a worker panicked")).max()
            })
            .unwrap_or_default()
        })
        .min()
        .unwrap_or_default()
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|given| given.parse().ok()).unwrap_or(1);
    let flops = fma::FLOPS_PER_CALL * threads as f64;
    let gflops = flops / best_time(threads, |_| fma::run()).as_secs_f64() / 1e9;
    let buffers = read::buffers(threads);
    let bytes = buffers.iter().map(|buffer| size_of_val(buffer.as_slice())).sum::<usize>() as f64;
    let gbps = bytes / best_time(threads, |thread| read::run(&buffers[thread])).as_secs_f64() / 1e9;
    println!("{{\"threads\":{threads},\"f32_gflops\":{gflops:.1},\"read_gbps\":{gbps:.2}}}");
}
