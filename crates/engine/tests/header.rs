//! A block on ssd says itself which block it is, to its own server alone.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use attentionstore_engine::plan::{TransferKind, WrittenBlock, WrittenView};
use attentionstore_kv::header::{CODEC_PLAIN, HeaderForm, TOKENS_PURPOSE};
use attentionstore_kv::seal::Sealer;
use attentionstore_kv::secret::Secrets;
use attentionstore_kv::{HEADER_BYTES, StoredBlock};
use support::{BLOCK, Driver, Room, Subject, save};
use tempfile::tempdir;

const SSD_SLOT: u32 = 2;

fn open(directory: &Path) -> Driver {
    let room = Room { hbm_blocks: 16, dram_blocks: 4, ssd: Some((4, directory.to_owned())) };
    Driver::open_with(Subject::always_there(), &room, None)
}

fn block() -> WrittenBlock {
    WrittenBlock {
        key: [1; 32],
        parent: [2; 32],
        index: 70,
        view: Some(WrittenView { window: 4096, head: 64, step: 1024 }),
        last_use: 1_800_000_000_123,
        tokens: (0..BLOCK as u32).map(|index| 3 + index * 7 % 200).collect(),
    }
}

/// Computes the block's tokens and writes them to `SSD_SLOT`.
fn write(driver: &mut Driver) {
    driver.add(0, &block().tokens);
    driver.compute(0, 0, BLOCK as u32, &[0]);
    assert_eq!(driver.transfer(save(0, 1, BLOCK as u32)), "");
    let write = TransferKind::Write { dram_slot: 1, ssd_slot: SSD_SLOT, block: block() };
    assert_eq!(driver.transfer(write), "");
    assert_eq!(driver.transfer(TransferKind::Flush), "");
}

fn read(driver: &mut Driver, valid: u32) -> String {
    driver.transfer(TransferKind::Read { ssd_slot: SSD_SLOT, dram_slot: 2, key: [1; 32], valid })
}

/// The only slot file.
fn slot_file(directory: &Path) -> File {
    let mut files = std::fs::read_dir(directory.join("ssd")).unwrap().map(|entry| entry.unwrap().path());
    let path = files.find(|path| path.extension().is_some_and(|name| name == "kv")).unwrap();
    File::open(path).unwrap()
}

fn bytes_of(hex: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn a_header_says_what_the_write_said_to_those_who_have_the_servers_secret() {
    let directory = tempdir().unwrap();
    let mut driver = open(directory.path());
    write(&mut driver);
    let info = driver.engine.info();
    drop(driver);
    let mut page = [0; HEADER_BYTES];
    let place = u64::from(SSD_SLOT) * info.layout.host_slot_bytes() as u64;
    slot_file(directory.path()).read_exact_at(&mut page, place).unwrap();
    let secret = Secrets::open(directory.path()).unwrap().server_secret;
    let form = HeaderForm {
        layout: info.layout,
        codec: CODEC_PLAIN,
        model: bytes_of(&info.fingerprint),
        sealer: Sealer::new(&secret, TOKENS_PURPOSE),
    };
    let WrittenBlock { key, parent, index, last_use, tokens, .. } = block();
    let expected = StoredBlock { key, parent, index, view: Some([4096, 64, 1024]), last_use, tokens };
    assert_eq!(form.read(&page), Ok(expected));
}

#[test]
fn a_server_with_another_secret_serves_nothing_of_a_store_and_goes_on() {
    let directory = tempdir().unwrap();
    let mut driver = open(directory.path());
    write(&mut driver);
    assert_eq!(read(&mut driver, BLOCK as u32), "");
    drop(driver);
    std::fs::write(directory.path().join("server.secret"), [7; 32]).unwrap();
    let mut driver = open(directory.path());
    assert_eq!(read(&mut driver, BLOCK as u32), "kv_foreign");
    assert_eq!(driver.engine.stats().damaged_reads, 1);
    write(&mut driver);
    assert_eq!(read(&mut driver, BLOCK as u32), "");
}

#[test]
fn a_block_without_tokens_or_with_too_many_is_refused_by_name() {
    let directory = tempdir().unwrap();
    let mut driver = open(directory.path());
    for tokens in [vec![], vec![1; BLOCK + 1]] {
        let block = WrittenBlock { tokens, ..block() };
        let write = TransferKind::Write { dram_slot: 1, ssd_slot: SSD_SLOT, block };
        assert_eq!(driver.transfer(write), "kv_invalid");
    }
    assert_eq!(read(&mut driver, 0), "kv_invalid");
}
