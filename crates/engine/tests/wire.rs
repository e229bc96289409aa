//! Packed plans from outside: any words give a plan or an error.

use attentionstore_engine::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, TransferKind};
use attentionstore_engine::wire::{decode_plan, decode_transfers};
use proptest::prelude::*;

#[test]
fn a_plan_is_unpacked_in_the_order_of_its_counts() {
    let words = [9, 1, 1, 1, 1, 4, 4, 0, 17, 4, 64, 3, 1, 5, 4, 0, 2, 64];
    let plan = StepPlan {
        step: 9,
        resets: vec![4],
        tables: vec![TableUpdate { sequence: 4, index: 0, slot: 17 }],
        rows: vec![PlanRow { sequence: 4, from: 64, count: 3, sample: true }],
        saves: vec![PlanSave { id: 5, sequence: 4, index: 0, dram_slot: 2, valid: 64 }],
    };
    assert_eq!(decode_plan(&words).unwrap(), plan);
}

#[test]
fn a_key_crosses_byte_for_byte() {
    let mut words = vec![2, 1, 7, 8, 63];
    words.extend((0..8u32).map(|word| u32::from_le_bytes([0, 1, 2, 3].map(|byte| (4 * word) as u8 + byte))));
    let key = std::array::from_fn(|byte| byte as u8);
    let transfers = decode_transfers(&words).unwrap();
    assert_eq!(transfers[0].kind, TransferKind::Read { ssd_slot: 7, dram_slot: 8, key, valid: 63 });
}

proptest! {
    #[test]
    fn any_words_give_a_plan_or_an_error(words in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 0..40)) {
        if let Err(error) = decode_plan(&words) {
            prop_assert_eq!(error.code(), "protocol");
        }
        if let Err(error) = decode_transfers(&words) {
            prop_assert_eq!(error.code(), "protocol");
        }
    }
}
