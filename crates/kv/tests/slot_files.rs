//! The files of the tier: their bound, their neighbours, how they come and go, and a disk that has no room.

mod support;

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use attentionstore_kv::DiskOptions;
use attentionstore_kv::disk::Allocator;
use attentionstore_uring::Operation;
use attentionstore_uring::fault::Fault;
use rustix::io::Errno;
use support::{BOOKS, Bench, Block, options, slot_bytes};
use tempfile::tempdir;

/// Bytes of the file system's own books that a test grants each extent.
const BOOKS_EACH: u64 = 8 << 10;

/// A bound for `slots` slots in extents of `each`, of the model with this number.
fn extents(directory: &Path, model: u8, slots: u64, each: u64) -> DiskOptions {
    let capacity_bytes = slots * slot_bytes() + BOOKS + slots.div_ceil(each) * BOOKS_EACH;
    DiskOptions {
        model: [model; 32],
        capacity_bytes,
        extent_bytes: each * slot_bytes(),
        ..options(directory, 1)
    }
}

/// A disk that has room for so many bytes more, whatever the real one has.
fn disk_with(left: u64) -> (Arc<AtomicU64>, Allocator) {
    let left = Arc::new(AtomicU64::new(left));
    let taken = left.clone();
    let allocator = Allocator::new(move |file, from, to| {
        let enough =
            taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(to - from));
        enough.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
        file.set_len(to)
    });
    (left, allocator)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As `du` counts them: files and the directory itself.
fn bytes_on_disk(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    let files: u64 = entries.map(|entry| entry.unwrap().metadata().unwrap().blocks()).sum();
    512 * (files + directory.metadata().unwrap().blocks())
}

/// Until the tier has all of its slots.
fn grow_to_the_end(bench: &Bench) {
    while bench.tier.committed() < bench.tier.slots() {
        let grown = bench.tier.grow(u32::MAX);
        assert!(grown.refused.is_none(), "{:?}", grown.refused);
    }
}

fn aged(path: &Path, seconds: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn slots_that_may_be_used_are_allocated_and_only_their_owner_may_read_them() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(&directory.path().join("made/at/open"), 5);
    assert_eq!((bench.tier.slots(), bench.tier.committed()), (5, 5));
    let metadata = bench.tier.paths()[0].metadata().unwrap();
    assert_eq!(metadata.len(), 5 * slot_bytes());
    assert!(metadata.blocks() * 512 >= metadata.len());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_new_tier_takes_64_mib_and_grows_by_at_most_256_mib_at_a_time_to_the_end_of_an_extent() {
    const MIB: u64 = 1 << 20;
    let directory = tempdir().unwrap();
    let (_, allocator) = disk_with(u64::MAX);
    let bound = DiskOptions { capacity_bytes: 4 << 30, allocator, ..options(directory.path(), 1) };
    let bench = Bench::open_with(&bound);
    let committed = |bench: &Bench| u64::from(bench.tier.committed()) * slot_bytes();
    assert_eq!(committed(&bench) / MIB, 63);
    for least in [318, 573, 828, 1023, 1278] {
        let before = committed(&bench);
        assert!(bench.tier.grow(u32::MAX).refused.is_none());
        assert!(committed(&bench) - before <= 256 * MIB);
        assert!(committed(&bench) / MIB >= least, "{} MiB", committed(&bench) / MIB);
    }
    let lengths: Vec<_> = bench.tier.paths().iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(lengths.len() == 2 && lengths[0] <= 1 << 30 && lengths[0] > (1 << 30) - slot_bytes());
    assert_eq!(bench.tier.grow(3).slots, bench.tier.committed(), "what is there stays");
}

#[test]
fn a_slot_may_be_used_once_it_is_there_and_every_one_has_its_own_place() {
    let directory = tempdir().unwrap();
    let bench = Bench::open_with(&extents(directory.path(), 1, 7, 3));
    assert_eq!((bench.tier.slots(), bench.tier.committed()), (7, 3));
    assert_eq!(bench.begin_write(0, 3, &Block::full(9)).unwrap_err().code(), "kv_invalid");
    assert_eq!(bench.begin_read(0, 3, &Block::full(9)).unwrap_err().code(), "kv_invalid");
    grow_to_the_end(&bench);
    for slot in 0..7 {
        bench.write(slot, &Block::full(u64::from(slot))).unwrap();
    }
    for slot in 0..7 {
        bench.read(slot, &Block::full(u64::from(slot))).unwrap();
    }
    assert_eq!(bench.begin_write(0, 7, &Block::full(9)).unwrap_err().code(), "kv_invalid");
    assert_eq!(bench.tier.paths().len(), 3);
    assert!(bytes_on_disk(directory.path()) <= extents(directory.path(), 1, 7, 3).capacity_bytes);
}

#[test]
fn a_flush_covers_every_extent_that_was_written_and_fails_where_one_of_them_does() {
    let directory = tempdir().unwrap();
    let bench = Bench::open_with(&extents(directory.path(), 1, 6, 2));
    grow_to_the_end(&bench);
    let synced = || bench.tier.stats().io.sync.operations;
    bench.write(0, &Block::full(1)).unwrap();
    bench.write(5, &Block::full(2)).unwrap();
    bench.flush().unwrap();
    assert_eq!(synced(), 2);
    bench.flush().unwrap();
    assert_eq!(synced(), 2, "nothing was written since");
    bench.write(1, &Block::full(3)).unwrap();
    bench.write(4, &Block::full(4)).unwrap();
    bench.faults.pass(Operation::Sync);
    bench.faults.inject(Operation::Sync, Fault::Fail(Errno::IO));
    assert_eq!(bench.flush().unwrap_err().code(), "kv_io");
    bench.flush().unwrap();
    assert_eq!(synced() + bench.tier.stats().io.sync.errors, 5, "what failed is flushed again");
}

#[test]
fn a_flush_does_not_overtake_one_that_has_the_same_writes_under_way() {
    let directory = tempdir().unwrap();
    let bench = Bench::open(directory.path(), 2);
    bench.write(0, &Block::full(1)).unwrap();
    bench.faults.hold();
    bench.begin_flush(1).unwrap();
    bench.wait_until_held(1);
    bench.begin_flush(2).unwrap();
    bench.wait_until_held(2);
    assert_eq!(bench.pending(), 0);
    bench.faults.release();
    bench.next().result.unwrap();
    bench.next().result.unwrap();
}

#[test]
fn the_bound_holds_when_it_is_no_multiple_of_a_slot_and_too_small_a_one_is_refused() {
    let directory = tempdir().unwrap();
    let capacity_bytes = 3 * slot_bytes() + slot_bytes() / 2 + BOOKS;
    let bench = Bench::open_with(&DiskOptions { capacity_bytes, ..options(directory.path(), 1) });
    assert_eq!(bench.tier.slots(), 3);
    let too_small = DiskOptions { capacity_bytes: slot_bytes(), ..options(directory.path(), 1) };
    assert_eq!(Bench::try_open(&too_small).err().unwrap().code(), "kv_invalid");
}

#[test]
fn what_else_lies_in_the_directory_counts_towards_the_bound() {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), vec![1; 2 * slot_bytes() as usize]).unwrap();
    let bound = options(directory.path(), 5);
    let bench = Bench::open_with(&bound);
    grow_to_the_end(&bench);
    assert_eq!(bench.tier.slots(), 3);
    assert!(bytes_on_disk(directory.path()) <= bound.capacity_bytes);
}

#[test]
fn a_disk_without_room_opens_a_tier_without_slots_which_grows_when_there_is_room() {
    let directory = tempdir().unwrap();
    let (left, allocator) = disk_with(0);
    let bench = Bench::open_with(&DiskOptions { allocator, ..options(directory.path(), 5) });
    assert_eq!((bench.tier.slots(), bench.tier.committed()), (5, 0));
    assert_eq!(names(directory.path()), [] as [String; 0], "no file is left");
    let refused = bench.tier.grow(5).refused.unwrap();
    assert_eq!(refused.code(), "kv_no_space");
    assert!(refused.to_string().contains(&format!("{} bytes", 5 * slot_bytes())), "{refused}");
    left.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(bench.tier.grow(5).slots, 5);
    bench.write(4, &Block::full(1)).unwrap();
    bench.read(4, &Block::full(1)).unwrap();
}

#[test]
fn a_tier_that_may_not_grow_serves_what_it_has_also_after_a_restart() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::PermissionDenied] {
        let directory = tempdir().unwrap();
        let bound = extents(directory.path(), 1, 6, 2);
        Bench::open_with(&bound).write(1, &Block::full(1)).unwrap();
        let allocator = Allocator::new(move |_, _, _| Err(kind.into()));
        let full = DiskOptions { allocator, ..bound };
        let bench = Bench::open_with(&full);
        assert_eq!(bench.tier.committed(), 2);
        bench.read(1, &Block::full(1)).unwrap();
        let code = if kind == io::ErrorKind::PermissionDenied { "kv_io" } else { "kv_no_space" };
        assert_eq!(bench.tier.grow(6).refused.unwrap().code(), code);
        assert_eq!(bench.tier.grow(6).slots, 2);
        bench.write(0, &Block::full(2)).unwrap();
        bench.read(1, &Block::full(1)).unwrap();
        assert_eq!(names(directory.path()).len(), 1);
    }
}

/// A step may have taken room for a part of what it wanted before the disk was full.
#[test]
fn a_step_that_is_refused_halfway_gives_back_what_it_took() {
    let directory = tempdir().unwrap();
    let bound = extents(directory.path(), 1, 8, 8);
    Bench::open_with(&DiskOptions { capacity_bytes: 2 * slot_bytes() + BOOKS, ..bound.clone() })
        .write(1, &Block::full(1))
        .unwrap();
    let allocator = Allocator::new(|file, from, _| {
        file.set_len(from + slot_bytes() / 2)?;
        Err(io::ErrorKind::StorageFull.into())
    });
    let bench = Bench::open_with(&DiskOptions { allocator, ..bound });
    assert!(bench.tier.grow(8).refused.is_some());
    assert_eq!(bench.tier.paths()[0].metadata().unwrap().len(), 2 * slot_bytes());
    bench.read(1, &Block::full(1)).unwrap();
}

#[test]
fn slots_inside_the_bound_survive_growing_and_shrinking_and_the_disk_gets_the_others_back() {
    let directory = tempdir().unwrap();
    let blocks: Vec<_> = (0..8).map(Block::full).collect();
    for (slots, written) in [(4, 0..4), (8, 4..8)] {
        let bench = Bench::open_with(&extents(directory.path(), 1, slots, 3));
        grow_to_the_end(&bench);
        for slot in written {
            bench.write(slot, &blocks[slot as usize]).unwrap();
        }
    }
    let before = bytes_on_disk(directory.path());
    let bench = Bench::open_with(&extents(directory.path(), 1, 4, 3));
    assert_eq!(bench.tier.committed(), 4);
    assert!(bytes_on_disk(directory.path()) + 4 * slot_bytes() <= before);
    drop(bench);
    let bench = Bench::open_with(&extents(directory.path(), 1, 8, 3));
    grow_to_the_end(&bench);
    for slot in 0..8 {
        assert_eq!(bench.read(slot, &blocks[slot as usize]).is_ok(), slot < 4, "slot {slot}");
    }
}

#[test]
fn an_extent_behind_a_gap_or_a_cut_one_is_not_used() {
    for harm in ["removed", "cut"] {
        let directory = tempdir().unwrap();
        let bound = extents(directory.path(), 1, 6, 2);
        let paths = {
            let bench = Bench::open_with(&bound);
            grow_to_the_end(&bench);
            (0..6).for_each(|slot| bench.write(slot, &Block::full(u64::from(slot))).unwrap());
            bench.tier.paths()
        };
        match harm {
            "removed" => std::fs::remove_file(&paths[1]).unwrap(),
            _ => std::fs::OpenOptions::new()
                .write(true)
                .open(&paths[1])
                .unwrap()
                .set_len(slot_bytes() + 1)
                .unwrap(),
        }
        let bench = Bench::open_with(&bound);
        let slots = if harm == "removed" { 2 } else { 3 };
        assert_eq!(bench.tier.committed(), slots, "{harm}");
        assert!(!paths[2].exists());
        grow_to_the_end(&bench);
        for slot in 0..6 {
            let is_there = bench.read(slot, &Block::full(u64::from(slot))).is_ok();
            assert_eq!(is_there, slot < slots, "slot {slot} of {harm}");
        }
    }
}

#[test]
fn the_file_of_a_server_before_extents_is_removed_and_nothing_else_that_is_not_the_tiers() {
    let directory = tempdir().unwrap();
    let former = directory.path().join("slots-4096-0000000000000001.kv");
    std::fs::write(&former, vec![1; 8192]).unwrap();
    std::fs::write(directory.path().join("slots-but-not-ours"), "a").unwrap();
    std::fs::create_dir(directory.path().join("slots-directory.kv")).unwrap();
    let bench = Bench::open(directory.path(), 2);
    assert!(!former.exists());
    assert_eq!(names(directory.path()).len(), 2 + bench.tier.paths().len());
}

/// What model `number` wrote to its slots 0..count is all there.
fn serves(bench: &Bench, number: u8, slots: std::ops::Range<u32>) {
    for slot in slots {
        bench.read(slot, &Block::full(1000 * u64::from(number) + u64::from(slot))).unwrap();
    }
}

/// A server of model `number` under a bound of `bound` slots fills `slots` of its own; answers its files.
fn fill(directory: &Path, number: u8, bound: u64, slots: u32) -> Vec<PathBuf> {
    let bench = Bench::open_with(&extents(directory, number, bound, 2));
    while bench.tier.committed() < slots {
        assert!(bench.tier.grow(slots).refused.is_none());
    }
    for slot in 0..slots {
        bench.write(slot, &Block::full(1000 * u64::from(number) + u64::from(slot))).unwrap();
    }
    bench.flush().unwrap();
    bench.tier.paths()
}

#[test]
fn two_models_keep_their_extents_where_the_bound_holds_both() {
    let directory = tempdir().unwrap();
    fill(directory.path(), 1, 8, 4);
    fill(directory.path(), 2, 8, 4);
    let bench = Bench::open_with(&extents(directory.path(), 1, 8, 2));
    serves(&bench, 1, 0..4);
    let foreign = bench.tier.foreign().unwrap();
    assert_eq!(foreign.iter().map(|foreign| foreign.slots).collect::<Vec<_>>(), [4]);
    assert_ne!(foreign[0].owner, bench.tier.owner());
    drop(bench);
    serves(&Bench::open_with(&extents(directory.path(), 2, 8, 2)), 2, 0..4);
}

#[test]
fn the_model_that_served_longest_ago_gives_up_its_last_slots_first_and_no_more_than_needed() {
    let directory = tempdir().unwrap();
    for (number, age) in [(1, 3000), (2, 1000), (3, 2000)] {
        for path in fill(directory.path(), number, 12, 4) {
            aged(&path, age);
        }
    }
    let bound = extents(directory.path(), 4, 12, 2);
    let bench = Bench::open_with(&bound);
    let left = |bench: &Bench| {
        let foreign = bench.tier.foreign().unwrap();
        foreign.iter().map(|foreign| (foreign.owner, foreign.slots)).collect::<Vec<_>>()
    };
    let owners: Vec<_> = left(&bench).into_iter().map(|(owner, _)| owner).collect();
    assert_eq!(left(&bench), [(owners[0], 4), (owners[1], 4), (owners[2], 4)], "opening displaces nothing");
    let mut given_up = Vec::new();
    while bench.tier.committed() < 6 {
        let grown = bench.tier.grow(bench.tier.committed() + 1);
        assert!(grown.refused.is_none());
        given_up.extend(grown.given_up.into_iter().map(|gone| (gone.owner, gone.slots_left)));
        let spare = bound.capacity_bytes - bytes_on_disk(directory.path());
        assert!(
            given_up.is_empty() || spare < BOOKS_EACH + slot_bytes(),
            "{spare} bytes more went than were needed"
        );
    }
    let of_first: Vec<_> = (0..4).rev().map(|slots| (owners[0], slots)).collect();
    assert_eq!(given_up[..4], of_first);
    let of_second: Vec<_> = (0..4).rev().map(|slots| (owners[1], slots)).take(given_up.len() - 4).collect();
    assert_eq!(given_up[4..], of_second);
    assert_eq!(left(&bench).last(), Some(&(owners[2], 4)));
    assert!(bytes_on_disk(directory.path()) <= bound.capacity_bytes);
    drop(bench);
    let bench = Bench::open_with(&extents(directory.path(), 3, 100, 2));
    let slots = if owners[1] == bench.tier.owner() { 4 - (given_up.len() as u32 - 4) } else { 4 };
    assert_eq!(bench.tier.committed(), slots);
    serves(&bench, 3, 0..slots);
}

#[test]
fn foreign_extents_go_before_a_full_disk_refuses_a_step() {
    let directory = tempdir().unwrap();
    fill(directory.path(), 1, 100, 4);
    let path = directory.path().to_path_buf();
    // Each foreign extent that goes makes room for one.
    let full = Allocator::new(move |file, _, to| match names(&path).len() {
        0..3 => file.set_len(to),
        _ => Err(io::ErrorKind::StorageFull.into()),
    });
    let bench = Bench::open_with(&DiskOptions { allocator: full, ..extents(directory.path(), 2, 100, 2) });
    assert_eq!(bench.tier.committed(), 0);
    assert_eq!(bench.tier.grow(2).slots, 2);
    assert_eq!(bench.tier.foreign().unwrap()[0].slots, 2);
}

#[test]
fn a_foreign_block_can_be_erased_and_those_beside_it_stay() {
    let directory = tempdir().unwrap();
    let paths = fill(directory.path(), 1, 12, 4);
    let bench = Bench::open_with(&extents(directory.path(), 2, 12, 2));
    let owner = bench.tier.foreign().unwrap()[0].owner;
    let before = std::fs::metadata(&paths[1]).unwrap().modified().unwrap();
    bench.tier.erase_foreign(owner, 3).unwrap();
    bench.tier.erase_foreign(owner, 99).unwrap();
    bench.tier.erase_foreign(bench.tier.owner(), 0).unwrap();
    assert!(std::fs::read(&paths[1]).unwrap()[slot_bytes() as usize..].iter().all(|byte| *byte == 0));
    assert_eq!(std::fs::metadata(&paths[1]).unwrap().modified().unwrap(), before);
    drop(bench);
    let bench = Bench::open_with(&extents(directory.path(), 1, 12, 2));
    serves(&bench, 1, 0..3);
    assert_eq!(bench.read(3, &Block::full(1003)).unwrap_err().code(), "kv_damaged");
}
