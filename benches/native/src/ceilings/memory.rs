//! Sequential reads and copies of more memory than any cache holds.

use std::hint::black_box;
use std::sync::Mutex;

/// Of each thread; several times the last-level cache of a large machine.
pub const BYTES: usize = 512 << 20;
/// Words summed independently, so that the additions do not wait for each other.
const LANES: usize = 32;

/// One thread's memory. Threads never share one; the lock only lets them write.
pub type Buffer = Mutex<Vec<u64>>;

/// One touched buffer a thread.
pub fn buffers(threads: usize) -> Vec<Buffer> {
    (0..threads).map(|thread| Mutex::new(vec![thread as u64 + 1; BYTES / size_of::<u64>()])).collect()
}

/// Reads all of it.
pub fn read(buffer: &Buffer) {
    let Ok(buffer) = buffer.lock() else { return };
    let mut sums = [0u64; LANES];
    for words in buffer.chunks_exact(LANES) {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(*word);
        }
    }
    black_box(sums);
}

/// Copies its first half over the second.
pub fn copy(buffer: &Buffer) {
    let Ok(mut buffer) = buffer.lock() else { return };
    let half = buffer.len() / 2;
    let (from, to) = buffer.split_at_mut(half);
    to.copy_from_slice(black_box(from));
    black_box(to);
}
