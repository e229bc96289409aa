//! The disk tier serves exactly the blocks that were written, and reports everything else.

mod support;

use support::{Bench, Block};
use tempfile::tempdir;

#[test]
fn a_block_comes_back_as_it_was_written() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    let (full, partial) = (Block::full(1), Block { seed: 2, valid: 17 });
    bench.write(3, &full).unwrap();
    bench.write(0, &partial).unwrap();
    bench.read(3, &full).unwrap();
    bench.read(0, &partial).unwrap();
}
