//! Sequential reads of more memory than any cache holds.

use std::hint::black_box;

/// Of each thread; several times the last-level cache of a large machine.
const BYTES: usize = 512 << 20;
/// Words summed independently, so that the additions do not wait for each other.
const LANES: usize = 32;

/// One touched buffer a thread.
pub fn buffers(threads: usize) -> Vec<Vec<u64>> {
    (0..threads).map(|thread| vec![thread as u64 + 1; BYTES / size_of::<u64>()]).collect()
}

pub fn run(buffer: &[u64]) {
    let mut sums = [0u64; LANES];
    for words in buffer.chunks_exact(LANES) {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(*word);
        }
    }
    black_box(sums);
}
