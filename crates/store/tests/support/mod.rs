//! A store in a folder of its own, and its records as a map.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use attentionstore_store::{Operation, PackedBatch, Part, Store, StoreError, packed};
use tempfile::TempDir;

pub const SECRET: [u8; 32] = [7; 32];
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// In memory where the system has such a folder: thousands of stores are synced here.
pub fn folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    let made = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

pub fn start(folder: &Path) -> Store {
    Store::start(folder.join("store"), SECRET).expect("a thread")
}

/// A random sequence that a seed decides (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 … `end` − 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Of `SEED`, or another one each time; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse().expect("SEED is a number"),
        Err(_) => u64::from_le_bytes(random_bytes()),
    };
    println!("SEED={seed}");
    seed
}

fn random_bytes() -> [u8; 8] {
    let text = std::fs::read("/proc/sys/kernel/random/uuid").expect("random bytes");
    text[..8].try_into().expect("eight of them")
}

/// Table, key, value; None: the record is removed.
pub type Write<'a> = (u32, &'a [u8], Option<&'a [u8]>);

pub fn batch(operations: &[Write<'_>]) -> PackedBatch {
    let mut batch = PackedBatch::default();
    for &(table, key, value) in operations {
        batch.push(Operation { table, key, value });
    }
    batch
}

pub fn commit(store: &Store, batch: PackedBatch, part: Part) -> Result<(), StoreError> {
    let (sender, receiver) = mpsc::channel();
    store.commit(batch, part, move |outcome| sender.send(outcome).expect("it is waited for"));
    receiver.recv().expect("every command is answered")
}

pub fn begin_anew(store: &Store, keeps: bool) -> Result<attentionstore_store::Found, StoreError> {
    let (sender, receiver) = mpsc::channel();
    store.begin_anew("by the test".into(), keeps, move |outcome| {
        sender.send(outcome).expect("it is waited for")
    });
    receiver.recv().expect("every command is answered")
}

/// The records of a table that open, and the number of those that do not.
pub fn read(store: &Store, table: u32) -> Result<(Records, usize), StoreError> {
    let (mut found, mut closed) = (Records::new(), 0);
    let mut after = None;
    loop {
        let page = store.page(table, after.clone())?;
        for (key, value) in packed::records(&page) {
            match value {
                Some(value) => {
                    found.insert(key.to_vec(), value.to_vec());
                }
                None => closed += 1,
            }
            after = Some(key.to_vec());
        }
        if page.is_empty() {
            return Ok((found, closed));
        }
    }
}
