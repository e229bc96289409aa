//! Host memory beyond what a driver registers in one call, 64 GiB.

mod support;

use attentionstore_engine::available_memory;
use support::{BLOCK, Driver, Room, Subject, load, save};

const GIB: u64 = 1 << 30;
const BORDER: u64 = 64 * GIB;
const DRAM: u64 = 80 * GIB;
/// As many saves under way.
const AT_ONCE: u32 = 256;

#[test]
fn a_dram_tier_beyond_64_gib_is_filled_and_read_back() {
    let subject = Subject::always_there();
    if subject.is_cpu() {
        return println!("skipped: a_dram_tier_beyond_64_gib_is_filled_and_read_back needs a card");
    }
    if available_memory().is_none_or(|bytes| bytes < DRAM + 16 * GIB) {
        return println!(
            "skipped: a_dram_tier_beyond_64_gib_is_filled_and_read_back needs 96 GiB of host memory"
        );
    }
    let slot_bytes = subject.block_bytes + attentionstore_kv::HEADER_BYTES as u64;
    let dram_blocks = (DRAM / slot_bytes) as u32;
    let mut driver = Driver::open_with(subject, &Room { hbm_blocks: 16, dram_blocks, ssd: None }, None);
    driver.grow_whole();
    let prompt: Vec<u32> = (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect();
    driver.add(0, &prompt);
    let expected = driver.step(0, 0, 0, prompt.len() as u32, &[0, 1]).token;
    let mut failed = 0;
    for first in (0..dram_blocks).step_by(AT_ONCE as usize) {
        let slots = first..dram_blocks.min(first + AT_ONCE);
        let saves: Vec<_> = slots.clone().map(|slot| (1 << 24 | slot, save(0, slot, BLOCK as u32))).collect();
        driver.start(&saves);
        failed += slots.filter(|slot| !driver.ended(1 << 24 | slot).is_empty()).count();
    }
    assert_eq!(failed, 0, "saves of {dram_blocks}");
    let border = (BORDER / slot_bytes) as u32;
    for (sequence, slot) in [0, border - 1, border, border + 1, dram_blocks - 1].into_iter().enumerate() {
        let sequence = 1 + sequence as u32;
        assert_eq!(driver.transfer(load(slot, 5)), "", "dram slot {slot}");
        driver.add(sequence, &prompt);
        assert_eq!(
            driver.step(sequence, sequence, BLOCK as u32, 20, &[5, 6]).token,
            expected,
            "dram slot {slot}"
        );
    }
}
