//! The files of the tier: their bound, their neighbours, and what remains of them.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use attentionstore_kv::disk::{foreign_files, remove_foreign};
use attentionstore_kv::{DiskOptions, KvError};
use support::{Bench, Block, options, slot_bytes};
use tempfile::tempdir;

/// A slot file of another layout, last written `age` seconds ago.
fn foreign(directory: &Path, name: &str, bytes: u64, age: u64) -> PathBuf {
    let path = directory.join(name);
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(bytes).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    path
}

#[test]
fn the_slot_file_is_allocated_in_full_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = tempdir().unwrap();
    let bench = Bench::open(&directory.path().join("made/at/open"), 5);
    assert_eq!(bench.tier.slots(), 5);
    let metadata = bench.tier.path().metadata().unwrap();
    assert_eq!(metadata.len(), 5 * slot_bytes());
    assert!(metadata.blocks() * 512 >= metadata.len());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_bound_holds_when_it_is_no_multiple_of_a_slot() {
    let directory = tempdir().unwrap();
    let capacity_bytes = 3 * slot_bytes() + slot_bytes() - 1;
    let bench = Bench::open_with(&DiskOptions { capacity_bytes, ..options(directory.path(), 1) });
    assert_eq!(bench.tier.slots(), 3);
    let too_small = DiskOptions { capacity_bytes: slot_bytes() - 1, ..options(directory.path(), 1) };
    assert_eq!(Bench::try_open(&too_small).err().unwrap().code(), "kv_invalid");
}

#[test]
fn a_disk_without_room_is_an_error_with_the_size_and_leaves_no_file() {
    let directory = tempdir().unwrap();
    let error = Bench::try_open(&DiskOptions { capacity_bytes: u64::MAX, ..options(directory.path(), 1) });
    let wanted = u64::from(u32::MAX) * slot_bytes();
    let error = error.err().unwrap();
    assert!(matches!(error, KvError::NoSpace { bytes, .. } if bytes == wanted), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_tier_that_found_no_room_to_grow_keeps_what_it_had() {
    let directory = tempdir().unwrap();
    let block = Block::full(1);
    Bench::open(directory.path(), 3).write(2, &block).unwrap();
    let too_big = DiskOptions { capacity_bytes: u64::MAX, ..options(directory.path(), 1) };
    assert_eq!(Bench::try_open(&too_big).err().unwrap().code(), "kv_no_space");
    Bench::open(directory.path(), 3).read(2, &block).unwrap();
}

#[test]
fn slots_inside_the_bound_survive_growing_and_shrinking() {
    let directory = tempdir().unwrap();
    let blocks: Vec<_> = (0..8).map(Block::full).collect();
    for (slots, written) in [(4, 0..4), (8, 4..8)] {
        let bench = Bench::open(directory.path(), slots);
        for slot in written {
            bench.write(slot, &blocks[slot as usize]).unwrap();
        }
    }
    let bench = Bench::open(directory.path(), 2);
    assert_eq!(bench.tier.path().metadata().unwrap().len(), 2 * slot_bytes());
    drop(bench);
    let bench = Bench::open(directory.path(), 8);
    for slot in 0..8 {
        assert_eq!(bench.read(slot, &blocks[slot as usize]).is_ok(), slot < 2, "slot {slot}");
    }
}

#[test]
fn foreign_slot_files_are_listed_oldest_first_and_nothing_else_is() {
    let directory = tempdir().unwrap();
    let young = foreign(directory.path(), "slots-8192-0000000000000001.kv", 8192, 10);
    let old = foreign(directory.path(), "slots-4096-0000000000000002.kv", 100, 1000);
    foreign(directory.path(), "notes.txt", 5, 5000);
    foreign(directory.path(), "slots-but-not-ours", 5, 5000);
    std::fs::create_dir(directory.path().join("slots-directory.kv")).unwrap();
    let own = directory.path().join("slots-1-0000000000000003.kv");
    foreign(directory.path(), "slots-1-0000000000000003.kv", 7, 2000);
    let found = foreign_files(directory.path(), &own).unwrap();
    let found: Vec<_> = found.iter().map(|file| (&file.path, file.bytes)).collect();
    assert_eq!(found, [(&old, 100), (&young, 8192)]);
}

#[test]
fn foreign_slot_files_go_oldest_first_until_the_bound_holds_and_no_further() {
    let directory = tempdir().unwrap();
    let paths: Vec<_> = (0..4)
        .map(|age| {
            foreign(directory.path(), &format!("slots-1-000000000000000{age}.kv"), 100, 1000 * (age + 1))
        })
        .collect();
    let own = directory.path().join("slots-2-0000000000000009.kv");
    assert_eq!(remove_foreign(directory.path(), &own, 50, 450).unwrap(), []);
    let removed = remove_foreign(directory.path(), &own, 50, 260).unwrap();
    assert_eq!(removed.iter().map(|file| &file.path).collect::<Vec<_>>(), [&paths[3], &paths[2]]);
    assert!(paths[0].exists() && paths[1].exists());
    // More than the bound by itself: everything foreign goes, and that is all that can be done.
    assert_eq!(remove_foreign(directory.path(), &own, 1000, 260).unwrap().len(), 2);
}

#[test]
fn opening_makes_room_among_foreign_files_so_that_the_bound_covers_all() {
    let directory = tempdir().unwrap();
    let old = foreign(directory.path(), "slots-4096-0000000000000001.kv", slot_bytes(), 1000);
    let young = foreign(directory.path(), "slots-4096-0000000000000002.kv", slot_bytes() / 2, 10);
    let capacity_bytes = 4 * slot_bytes() + slot_bytes() / 2;
    let bench = Bench::open_with(&DiskOptions { capacity_bytes, ..options(directory.path(), 1) });
    assert_eq!(bench.tier.slots(), 4);
    assert!(!old.exists() && young.exists());
    assert_eq!(bench.tier.removed_at_open().iter().map(|file| &file.path).collect::<Vec<_>>(), [&old]);
    assert_eq!(bench.tier.foreign().unwrap().len(), 1);
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let total: u64 = entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(total <= capacity_bytes);
}
