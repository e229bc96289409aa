//! The movements alone, without anything computed: loads, saves, the disk tier with its checksums.

use std::time::Instant;

use attentionstore_engine::plan::{TransferKind, WrittenBlock};
use attentionstore_kv::BLOCK_TOKENS;

use super::driver::Driver;
use super::{MOVED_BLOCKS, Session};
use crate::Outcome;
use crate::report::{Limit, Recorder, Unit};
use crate::statistics::{rate, repeat};

/// Most blocks at the disk at once: half of what its queue takes.
pub const IN_FLIGHT: usize = 128;
/// The key of every block here; a block is what its slot says.
pub const KEY: [u8; 32] = [1; 32];
const VALID: u32 = BLOCK_TOKENS as u32;

/// The block that measurements write.
pub fn written() -> WrittenBlock {
    WrittenBlock { key: KEY, tokens: vec![1; BLOCK_TOKENS], ..WrittenBlock::default() }
}

pub fn measure(recorder: &mut Recorder, session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    let blocks = (session.cases.longest_blocks() as u32).max(MOVED_BLOCKS as u32);
    let blocks = blocks.min(driver.info.hbm_slots).min(driver.info.dram_slots).min(driver.info.ssd_slots);
    let limits = &session.limits;
    let load = |slot| TransferKind::Load { dram_slot: slot, hbm_slot: slot };
    let save = |slot| TransferKind::Save { hbm_slot: slot, dram_slot: slot, valid: VALID };
    let write = |slot| TransferKind::Write { dram_slot: slot, ssd_slot: slot, block: written() };
    let read = |slot| TransferKind::Read { ssd_slot: slot, dram_slot: slot, key: KEY, valid: VALID };
    let moved = u64::from(blocks) * session.shape.block_bytes();
    let mut figure =
        |name: &str, limit: &Option<Limit>, flush: bool, kind: &dyn Fn(u32) -> TransferKind| -> Outcome<()> {
            if !recorder.wants(name) {
                return Ok(());
            }
            let rounds = session.cases.rounds;
            let samples =
                repeat(1, rounds, || move_all(driver, blocks, flush, kind).map(|time| rate(moved, time)))?;
            recorder.figure(name, Unit::GigabytesASecond, samples, limit.clone());
            Ok(())
        };
    figure("part/save, hbm to dram", &limits.saves, false, &save)?;
    figure("part/load, dram to hbm", &limits.loads, false, &load)?;
    figure("part/disk tier write, checksummed and durable", &limits.disk_writes, true, &write)?;
    if recorder.wants("part/disk tier read, verified") {
        // Reads need written blocks, also where only the read is asked for.
        move_all(driver, blocks, true, &write)?;
        let samples = repeat(1, session.cases.rounds, || {
            move_all(driver, blocks, false, &read).map(|time| rate(moved, time))
        })?;
        recorder.figure(
            "part/disk tier read, verified",
            Unit::GigabytesASecond,
            samples,
            limits.disk_reads.clone(),
        );
    }
    Ok(())
}

/// Moves every block once, as many at a time as the disk takes, and waits for the last.
pub fn move_all(
    driver: &mut Driver,
    blocks: u32,
    flush: bool,
    kind: &dyn Fn(u32) -> TransferKind,
) -> Outcome<std::time::Duration> {
    let start = Instant::now();
    let slots: Vec<u32> = (0..blocks).collect();
    for part in slots.chunks(IN_FLIGHT) {
        driver.start(part.iter().map(|&slot| kind(slot)))?;
        driver.settle()?;
    }
    if flush {
        driver.start([TransferKind::Flush])?;
        driver.settle()?;
    }
    Ok(start.elapsed())
}
