//! A bit that flips in dram is found before its block is served or written down.

mod support;

use std::path::Path;

use attentionstore_engine::event::RowStatus;
use attentionstore_engine::plan::{TransferKind, WrittenBlock};
use support::{BLOCK, Driver, Room, Subject, load, save};
use tempfile::tempdir;

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// The prompt's first block lies in dram slot 1. Gives the token that follows the prompt.
fn saved(driver: &mut Driver) -> Option<u32> {
    driver.add(0, &prompt());
    let token = driver.step(0, 0, 0, prompt().len() as u32, &[0, 1]).token;
    assert_eq!(driver.transfer(save(0, 1, BLOCK as u32)), "");
    token
}

fn with_disk(directory: &Path) -> Driver {
    let room = Room { hbm_blocks: 16, dram_blocks: 4, ssd: Some((4, directory.to_owned())) };
    Driver::open_with(Subject::always_there(), &room, None)
}

fn written(dram_slot: u32, ssd_slot: u32) -> TransferKind {
    let tokens = prompt()[..BLOCK].to_vec();
    let block = WrittenBlock { key: [1; 32], parent: [2; 32], tokens, ..WrittenBlock::default() };
    TransferKind::Write { dram_slot, ssd_slot, block }
}

fn read(ssd_slot: u32, dram_slot: u32) -> TransferKind {
    TransferKind::Read { ssd_slot, dram_slot, key: [1; 32], valid: BLOCK as u32 }
}

#[test]
fn a_load_of_a_damaged_slot_fails_and_the_rows_over_it_are_void() {
    let mut driver = Driver::open(None);
    let expected = saved(&mut driver);
    let rows = prompt().len() as u32 - BLOCK as u32;
    for (bit_flips, error, status) in
        [(0, "", RowStatus::Ok), (1, "dram_damaged", RowStatus::Void), (1, "", RowStatus::Ok)]
    {
        (0..bit_flips).for_each(|_| driver.flip(1, 4_321));
        driver.start(&[(51, load(1, 8))]);
        driver.add(1, &prompt());
        let row = driver.step(1, 1, BLOCK as u32, rows, &[8, 9]);
        assert_eq!((driver.ended(51).as_str(), row.status), (error, status));
        assert!(status == RowStatus::Void || row.token == expected);
        driver.engine.drop_sequence(1).unwrap();
    }
    assert_eq!(driver.engine.stats().dram_damaged, 1);
}

#[test]
fn a_damaged_slot_is_not_written_down() {
    let directory = tempdir().unwrap();
    let mut driver = with_disk(directory.path());
    saved(&mut driver);
    assert_eq!(driver.transfer(written(1, 0)), "");
    driver.flip(1, 0);
    assert_eq!(driver.transfer(written(1, 2)), "dram_damaged");
    assert_eq!(driver.transfer(TransferKind::Flush), "");
    assert_eq!(driver.transfer(read(2, 2)), "kv_damaged", "there is no such block");
    assert_eq!(driver.transfer(read(0, 2)), "");
}

#[test]
fn what_was_read_is_checked_with_the_checksum_of_its_header() {
    let directory = tempdir().unwrap();
    let mut driver = with_disk(directory.path());
    saved(&mut driver);
    assert_eq!(driver.transfer(written(1, 0)), "");
    assert_eq!(driver.transfer(TransferKind::Flush), "");
    assert_eq!(driver.transfer(read(0, 3)), "");
    let check = TransferKind::Check { dram_slot: 3 };
    assert_eq!(driver.transfer(check.clone()), "");
    driver.flip(3, 77);
    assert_eq!(driver.transfer(check), "dram_damaged");
}

#[test]
fn a_check_finds_a_flip_until_the_slot_is_saved_anew() {
    let mut driver = Driver::open(None);
    saved(&mut driver);
    let check = TransferKind::Check { dram_slot: 1 };
    assert_eq!(driver.transfer(check.clone()), "");
    driver.flip(1, 1);
    assert_eq!(driver.transfer(check.clone()), "dram_damaged");
    assert_eq!(driver.transfer(save(0, 1, BLOCK as u32)), "");
    assert_eq!(driver.transfer(check), "");
    assert_eq!(driver.transfer(TransferKind::Check { dram_slot: 40_000 }), "kv_invalid");
    let stats = driver.engine.stats();
    assert_eq!((stats.dram_checked, stats.dram_damaged), (3, 1));
}
