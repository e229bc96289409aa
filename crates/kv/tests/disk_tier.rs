//! The disk tier serves exactly the blocks that were written, and reports everything else.

mod support;

use std::sync::Arc;
use std::time::Duration;

use attentionstore_kv::header::TOKENS_PURPOSE;
use attentionstore_kv::seal::Sealer;
use attentionstore_kv::{
    BlockTransfer, DiskCompletion, DiskOperation, DiskOptions, DiskTier, HostArena, KvError, StoredBlock,
};
use attentionstore_uring::fault::Fault;
use attentionstore_uring::{Engine, EngineChoice, EngineKind, Operation, Panics, RateLimits, Request};
use crossbeam_channel::{Receiver, unbounded};
use rustix::io::Errno;
use support::{Bench, Block, options, slot_bytes};
use tempfile::tempdir;

#[test]
fn a_block_comes_back_as_it_was_written_through_every_engine() {
    for kind in [EngineKind::UringRegistered, EngineKind::Uring, EngineKind::Pool] {
        let directory = tempdir().unwrap();
        let options = DiskOptions { choice: EngineChoice::Only(kind), ..options(directory.path(), 4) };
        let bench = match Bench::try_open(&options) {
            Ok(bench) => bench,
            Err(error) if kind != EngineKind::Pool => {
                println!("skipped: {} does not run here: {error}", kind.name());
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(bench.tier.level().engine, kind);
        let (full, partial) = (Block::full(1), Block { seed: 2, valid: 17 });
        bench.write(3, &full).unwrap();
        bench.write(0, &partial).unwrap();
        bench.flush().unwrap();
        bench.read(3, &full).unwrap();
        bench.read(0, &partial).unwrap();
    }
}

#[test]
fn one_tier_serves_several_threads() {
    let directory = tempdir().unwrap();
    let tier = &Bench::open(directory.path(), 8).tier;
    let flushes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|tag| {
                scope.spawn(move || {
                    let (sender, receiver) = crossbeam_channel::unbounded();
                    tier.flush(tag, DiskCompletion::to(&sender)).unwrap();
                    receiver.recv().unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (tag, flush) in (0..).zip(flushes) {
        assert_eq!(flush.tag, tag);
        flush.result.unwrap();
    }
}

#[test]
fn completions_carry_tag_kind_bytes_and_time() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    bench.begin_write(0, 2, &Block::full(1)).unwrap();
    let written = bench.next();
    assert_eq!((written.tag, written.operation, written.bytes), (2, DiskOperation::Write, slot_bytes()));
    assert!(written.duration > Duration::ZERO);
    bench.begin_flush(77).unwrap();
    let flushed = bench.next();
    assert_eq!((flushed.tag, flushed.operation, flushed.bytes), (77, DiskOperation::Flush, 0));
    bench.begin_read(1, 2, &Block::full(9)).unwrap();
    let damaged = bench.next();
    assert_eq!((damaged.tag, damaged.operation, damaged.bytes), (2, DiskOperation::Read, 0));
    assert_eq!(damaged.result.unwrap_err().code(), "kv_damaged");
}

#[test]
fn what_is_out_of_range_is_refused_before_anything_begins() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    let good = bench.transfer(0, 0);
    let elsewhere = Bench::open(tempdir().unwrap().path(), 1);
    let block = Block::full(1);
    // SAFETY: stays inside the arena, or one page before its end.
    let (odd, last) = unsafe { (good.host.add(8), bench.arena.base().add(bench.arena.len() - 4096)) };
    let bad = [
        BlockTransfer { slot: 4, ..good },
        BlockTransfer { slot: u32::MAX, ..good },
        BlockTransfer { host: odd, ..good },
        BlockTransfer { host: last, ..good },
        BlockTransfer { host: elsewhere.arena.base(), ..good },
    ];
    for transfer in bad {
        // SAFETY: nothing is begun.
        let read = unsafe { bench.tier.read(transfer, block.key(), block.valid, bench.done()) };
        assert_eq!(read.unwrap_err().code(), "kv_invalid", "{transfer:?}");
        // SAFETY: as above.
        let write = unsafe { bench.tier.write(transfer, block.stored(), bench.done()) };
        assert_eq!(write.unwrap_err().code(), "kv_invalid", "{transfer:?}");
    }
    for valid in [0, 65] {
        // SAFETY: as above.
        let read = unsafe { bench.tier.read(good, block.key(), valid, bench.done()) };
        assert_eq!(read.unwrap_err().code(), "kv_invalid", "{valid} tokens");
        let written = StoredBlock { tokens: vec![1; valid], ..block.stored() };
        // SAFETY: as above.
        let write = unsafe { bench.tier.write(good, written, bench.done()) };
        assert_eq!(write.unwrap_err().code(), "kv_invalid", "{valid} tokens");
    }
    assert_eq!(bench.tier.stats().io, Default::default());
}

#[test]
fn another_blocks_slot_an_empty_slot_and_another_valid_length_are_damage_and_counted() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    bench.write(0, &Block { seed: 1, valid: 17 }).unwrap();
    for (slot, asked) in
        [(0, Block { seed: 2, valid: 17 }), (0, Block { seed: 1, valid: 18 }), (1, Block::full(1))]
    {
        let error = bench.read(slot, &asked).unwrap_err();
        assert!(matches!(error, KvError::Damaged { slot: found, .. } if found == slot), "{error}");
    }
    assert_eq!(bench.tier.stats().damaged, 3);
    bench.read(0, &Block { seed: 1, valid: 17 }).unwrap();
    assert_eq!(bench.tier.stats().damaged, 3);
}

#[test]
fn a_block_of_another_model_or_server_is_foreign_and_counted() {
    let directory = tempdir().unwrap();
    let block = Block { seed: 1, valid: 17 };
    let own = options(directory.path(), 4);
    let files = {
        let bench = Bench::open_with(&own);
        bench.write(0, &block).unwrap();
        bench.flush().unwrap();
        bench.tier.paths()
    };
    // Under the same name, as after a copy of the file.
    // A folder each: the bound has room for one of them.
    let elsewhere = [tempdir().unwrap(), tempdir().unwrap()];
    let others = [
        DiskOptions { model: [5; 32], ..options(elsewhere[0].path(), 4) },
        DiskOptions { sealer: Sealer::new(&[9; 32], TOKENS_PURPOSE), ..options(elsewhere[1].path(), 4) },
    ];
    for other in others {
        let path = Bench::open_with(&other).tier.paths().remove(0);
        std::fs::copy(&files[0], path).unwrap();
        let bench = Bench::open_with(&other);
        let error = bench.read(0, &block).unwrap_err();
        assert_eq!(error.code(), "kv_foreign");
        assert!(matches!(error, KvError::Foreign { slot: 0, .. }), "{error}");
        assert_eq!(bench.tier.stats().damaged, 1);
    }
    Bench::open_with(&own).read(0, &block).unwrap();
}

#[test]
fn token_ids_are_in_no_byte_of_the_slot_file_before_their_block_is_erased_or_afterwards() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    let block = Block { seed: 0x0102_0304, valid: 64 };
    let ids: Vec<u8> = block.stored().tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let file_has = |bytes: &[u8]| {
        let file = bench.bytes();
        file.windows(bytes.len()).any(|window| window == bytes)
    };
    bench.write(2, &block).unwrap();
    bench.flush().unwrap();
    assert!(file_has(&block.key()), "the header is in the file");
    assert!(!file_has(&ids[..16]));
    bench.tier.erase(2, 9, bench.done()).unwrap();
    bench.next().result.unwrap();
    bench.flush().unwrap();
    assert!(!file_has(&block.key()));
    assert!(!file_has(&ids[..16]));
}

#[test]
fn an_erased_block_is_read_by_nobody_and_nothing_of_it_is_left_on_the_disk() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 3);
    let (kept, gone) = (Block::full(1), Block::full(2));
    bench.write(0, &kept).unwrap();
    bench.write(1, &gone).unwrap();
    bench.flush().unwrap();
    bench.tier.erase(1, 9, bench.done()).unwrap();
    let erased = bench.next();
    assert_eq!((erased.tag, erased.operation, erased.bytes), (9, DiskOperation::Erase, slot_bytes()));
    erased.result.unwrap();
    bench.flush().unwrap();
    assert_eq!(bench.read(1, &gone).unwrap_err().code(), "kv_damaged");
    bench.read(0, &kept).unwrap();
    let file = bench.bytes();
    let slot = slot_bytes() as usize;
    assert!(file[slot..2 * slot].iter().all(|byte| *byte == 0));
    bench.write(1, &gone).unwrap();
    bench.read(1, &gone).unwrap();
}

#[test]
fn an_erasure_counts_as_a_write_for_flushes_bounds_and_faults() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 2);
    assert_eq!(bench.tier.erase(2, 0, bench.done()).unwrap_err().code(), "kv_invalid");
    bench.faults.hold();
    bench.tier.erase(0, 1, bench.done()).unwrap();
    bench.begin_flush(2).unwrap();
    bench.wait_until_held(1);
    assert_eq!(bench.pending(), 0);
    bench.faults.release();
    let order = [bench.next().operation, bench.next().operation];
    assert_eq!(order, [DiskOperation::Erase, DiskOperation::Flush]);
    bench.faults.inject(Operation::Write, Fault::Fail(Errno::IO));
    bench.tier.erase(0, 3, bench.done()).unwrap();
    assert_eq!(bench.next().result.unwrap_err().code(), "kv_io");
}

#[test]
fn a_bit_that_flips_on_the_way_or_on_the_disk_is_damage() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    let block = Block::full(1);
    let bits = slot_bytes() as usize * 8;
    for bit in [0, 8 * 50 + 3, 8 * 4000, 8 * 4090 + 7, 8 * 4096, bits / 2, bits - 1] {
        bench.write(0, &block).unwrap();
        bench.faults.inject(Operation::Read, Fault::FlipBit { bit });
        assert_eq!(bench.read(0, &block).unwrap_err().code(), "kv_damaged", "bit {bit} in a read");
        bench.read(0, &block).unwrap();
        bench.faults.inject(Operation::Write, Fault::FlipBit { bit });
        bench.write(0, &block).unwrap();
        assert_eq!(bench.read(0, &block).unwrap_err().code(), "kv_damaged", "bit {bit} in a write");
    }
}

#[test]
fn an_error_of_the_disk_reaches_its_own_waiter_and_no_other() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    let block = Block::full(1);
    for operation in [Operation::Read, Operation::Write, Operation::Sync] {
        bench.faults.inject(operation, Fault::Fail(Errno::IO));
    }
    assert_eq!(bench.write(0, &block).unwrap_err().code(), "kv_io");
    bench.write(0, &block).unwrap();
    assert_eq!(bench.read(0, &block).unwrap_err().code(), "kv_io");
    bench.read(0, &block).unwrap();
    assert_eq!(bench.flush().unwrap_err().code(), "kv_io");
    bench.flush().unwrap();
    bench.faults.inject(Operation::Read, Fault::Short { bytes: 4096 });
    assert_eq!(bench.read(0, &block).unwrap_err().code(), "kv_damaged");
    let stats = bench.tier.stats();
    assert_eq!((stats.io.read.errors, stats.io.write.errors, stats.io.sync.errors), (2, 1, 1));
    assert_eq!(stats.damaged, 1);
}

#[test]
fn each_direction_is_bounded_and_has_room_again_after_completions() {
    let directory = tempdir().unwrap();
    let bench = Bench::open_with(&DiskOptions { queue: 2, ..options(directory.path(), 8) });
    bench.faults.hold();
    for index in 0..2 {
        bench.begin_write(index, index as u32, &Block::full(1)).unwrap();
        bench.begin_read(2 + index, 4 + index as u32, &Block::full(1)).unwrap();
    }
    let full = bench.begin_write(4, 4, &Block::full(1)).unwrap_err();
    assert!(matches!(full, KvError::QueueFull { direction: "write", limit: 2 }), "{full}");
    assert_eq!(bench.begin_read(4, 4, &Block::full(1)).unwrap_err().code(), "kv_queue_full");
    bench.begin_flush(0).unwrap();
    bench.begin_flush(1).unwrap();
    assert_eq!(bench.begin_flush(2).unwrap_err().code(), "kv_queue_full");
    bench.faults.release();
    (0..6).for_each(|_| drop(bench.next()));
    bench.write(0, &Block::full(1)).unwrap();
    bench.read(0, &Block::full(1)).unwrap();
    bench.flush().unwrap();
}

#[test]
fn a_flush_completes_after_the_writes_before_it() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 8);
    bench.faults.hold();
    for index in 0..3 {
        bench.begin_write(index, index as u32, &Block::full(1)).unwrap();
    }
    bench.begin_flush(9).unwrap();
    bench.wait_until_held(3);
    assert_eq!(bench.pending(), 0);
    bench.faults.release();
    let order: Vec<_> = (0..4).map(|_| bench.next().operation).collect();
    assert_eq!(order[3], DiskOperation::Flush, "{order:?}");
}

#[test]
fn closing_waits_for_what_was_accepted_and_then_refuses() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 8);
    bench.faults.hold();
    for index in 0..3 {
        bench.begin_write(index, index as u32, &Block::full(1)).unwrap();
        bench.begin_read(3 + index, 4, &Block::full(1)).unwrap();
    }
    bench.begin_flush(9).unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| {
            bench.tier.close();
            bench.pending()
        });
        bench.wait_until_held(6);
        bench.faults.release();
        assert_eq!(closing.join().unwrap(), 7);
    });
    bench.tier.close();
    assert_eq!(bench.begin_write(0, 0, &Block::full(1)).unwrap_err().code(), "kv_closed");
    assert_eq!(bench.begin_read(0, 0, &Block::full(1)).unwrap_err().code(), "kv_closed");
    assert_eq!(bench.begin_flush(0).unwrap_err().code(), "kv_closed");
}

#[test]
fn a_panic_in_a_callback_does_not_stop_the_tier() {
    let directory = tempdir().unwrap();
    let bench = Bench::open_with(&DiskOptions { workers: 1, ..options(directory.path(), 4) });
    let block = Block::full(1);
    bench.write(0, &block).unwrap();
    for host in 3..6 {
        let done = Box::new(|_| std::panic::resume_unwind(Box::new("the callback's own affair")));
        // SAFETY: the host slot is not used otherwise before the tier is closed.
        unsafe { bench.tier.read(bench.transfer(host, 0), block.key(), block.valid, done) }.unwrap();
    }
    bench.read(0, &block).unwrap();
}

/// Keeps what is told of panics.
fn told() -> (Panics, Receiver<String>) {
    let (sender, receiver) = unbounded();
    (Panics::told_to(move |_, message| sender.send(message.to_owned()).unwrap()), receiver)
}

#[test]
fn a_panic_in_a_callback_is_told() {
    let directory = tempdir().unwrap();
    let (panics, told) = told();
    let bench = Bench::open_with(&DiskOptions { panics, ..options(directory.path(), 4) });
    let block = Block::full(1);
    bench.write(0, &block).unwrap();
    let done = Box::new(|_| std::panic::resume_unwind(Box::new("of a read")));
    // SAFETY: the host slot is not used otherwise before the tier is closed.
    unsafe { bench.tier.read(bench.transfer(3, 0), block.key(), block.valid, done) }.unwrap();
    assert_eq!(told.recv().unwrap(), "of a read");
    let done = Box::new(|_| std::panic::resume_unwind(Box::new("of a flush")));
    bench.tier.flush(7, done).unwrap();
    assert_eq!(told.recv().unwrap(), "of a flush");
}

/// Without its thread a write would be waited for for ever.
#[test]
fn a_panic_of_a_thread_of_the_tier_is_told_and_the_tier_can_be_closed() {
    struct Panicking(Arc<dyn Engine>);
    impl Engine for Panicking {
        fn submit(&self, request: Request) {
            if request.operation() == Operation::Write {
                std::panic::resume_unwind(Box::new("of a worker"));
            }
            self.0.submit(request);
        }
        fn close(&self) {
            self.0.close();
        }
    }
    let directory = tempdir().unwrap();
    let (panics, told) = told();
    let arena = Arc::new(HostArena::new(2 << 20).unwrap());
    let options = DiskOptions { panics, ..options(directory.path(), 4) };
    let wrap = |engine| Arc::new(Panicking(engine)) as Arc<dyn Engine>;
    let tier = DiskTier::open_with(&options, std::slice::from_ref(&arena), wrap).unwrap();
    let transfer = BlockTransfer { host: arena.base(), slot: 0, tag: 0 };
    // SAFETY: the host slot is used by this write only.
    unsafe { tier.write(transfer, Block::full(1).stored(), Box::new(|_| {})) }.unwrap();
    assert_eq!(told.recv().unwrap(), "of a worker");
    assert_eq!(tier.flush(1, Box::new(|_| {})).unwrap_err().code(), "kv_closed");
    tier.close();
}

#[test]
fn traffic_is_measured() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 4);
    for slot in 0..3 {
        bench.write(slot, &Block::full(u64::from(slot))).unwrap();
    }
    bench.read(1, &Block::full(1)).unwrap();
    bench.flush().unwrap();
    let io = bench.tier.stats().io;
    assert_eq!((io.write.operations, io.write.bytes), (3, 3 * slot_bytes()));
    assert_eq!((io.read.operations, io.read.bytes), (1, slot_bytes()));
    assert_eq!(io.sync.operations, 1);
    assert!(io.write.in_flight == 0 && io.write.in_flight_max >= 1);
    assert!(io.read.busy > Duration::ZERO && io.read.latency >= io.read.busy);
}

#[test]
fn a_rate_limit_delays_its_own_direction() {
    let directory = tempdir().unwrap();
    let limits = RateLimits { read: Some(slot_bytes() * 20), write: None };
    let bench = Bench::open_with(&DiskOptions { limits, ..options(directory.path(), 4) });
    let block = Block::full(1);
    bench.write(0, &block).unwrap();
    bench.begin_read(1, 0, &block).unwrap();
    // A lower bound cannot fail on a slow machine: 50 ms a block, less the burst of 5 ms.
    assert!(bench.next().duration >= Duration::from_millis(45));
}
