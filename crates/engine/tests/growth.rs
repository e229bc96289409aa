//! Memory of the tiers comes while steps run.

mod support;

use attentionstore_engine::event::GrowingTier;
use support::{BLOCK, Driver, Room, Subject, load, save};

const MIB: u64 = 1 << 20;

#[test]
fn steps_go_on_while_a_tier_grows_and_its_last_slot_is_as_good_as_its_first() {
    let subject = Subject::always_there();
    let dram_bytes = if subject.is_cpu() { 256 * MIB } else { 8192 * MIB };
    let slot_bytes = subject.block_bytes + attentionstore_kv::HEADER_BYTES as u64;
    let dram_blocks = (dram_bytes / slot_bytes) as u32;
    let mut driver = Driver::open_with(subject, &Room { hbm_blocks: 16, dram_blocks, ssd: None }, None);
    let slots = driver.engine.info().dram_slots;
    assert!(driver.engine.info().dram_committed < slots);
    let prompt: Vec<u32> = (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect();
    driver.add(0, &prompt);
    let expected = driver.step(0, 0, 0, prompt.len() as u32, &[0, 1]).token;
    driver.engine.grow(GrowingTier::Dram, slots).unwrap();
    let mut number = 1;
    while !driver.has_grown(GrowingTier::Dram, slots) {
        driver.add(number, &prompt);
        assert_eq!(driver.step(number, number, 0, prompt.len() as u32, &[2, 3]).token, expected);
        driver.engine.drop_sequence(number).unwrap();
        number += 1;
    }
    assert!(number > 1, "steps ran meanwhile");
    assert_eq!(driver.transfer(save(0, slots - 1, BLOCK as u32)), "");
    assert_eq!(driver.transfer(load(slots - 1, 5)), "");
    driver.add(number, &prompt);
    assert_eq!(driver.step(number, number, BLOCK as u32, 20, &[5, 6]).token, expected);
}
