//! Packed plans, transfers and events: what crosses is what was meant, and any words give a value or an error.

#[rustfmt::skip]
mod cases;

use attentionstore_engine::wire::{
    decode_events, decode_plan, decode_transfers, encode_event, encode_plan, encode_transfers,
};
use cases::{engine_event_cases, step_plan_cases, transfer_cases};
use proptest::prelude::*;

#[test]
fn every_value_of_the_description_is_packed_and_unpacked_as_typescript_does() {
    for (plan, words) in step_plan_cases() {
        assert_eq!(encode_plan(&plan), words, "{plan:?}");
        assert_eq!(decode_plan(&words).unwrap(), plan);
    }
    for (transfer, words) in transfer_cases() {
        assert_eq!(encode_transfers(std::slice::from_ref(&transfer)), words, "{transfer:?}");
        assert_eq!(decode_transfers(&words).unwrap(), [transfer]);
    }
    for (event, words) in engine_event_cases() {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut packed = Vec::new();
        encode_event(&event, &mut packed);
        assert_eq!(packed, bytes, "{event:?}");
        assert_eq!(decode_events(&bytes).unwrap(), [event]);
    }
}

#[test]
fn transfers_and_events_that_stand_one_after_another_come_in_their_order() {
    let (transfers, words): (Vec<_>, Vec<_>) = transfer_cases().into_iter().unzip();
    assert_eq!(decode_transfers(&words.concat()).unwrap(), transfers);
    let (events, words): (Vec<_>, Vec<_>) = engine_event_cases().into_iter().unzip();
    let bytes: Vec<u8> = words.concat().into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(decode_events(&bytes).unwrap(), events);
}

#[test]
fn words_that_are_left_over_or_missing_are_refused() {
    for (plan, mut words) in step_plan_cases() {
        words.push(0);
        assert_eq!(decode_plan(&words).unwrap_err().code(), "protocol", "{plan:?}");
        words.truncate(words.len() - 2);
        assert_eq!(decode_plan(&words).unwrap_err().code(), "protocol", "{plan:?}");
    }
}

proptest! {
    #[test]
    fn any_words_give_a_value_that_packs_to_them_or_an_error(
        words in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 0..60),
    ) {
        match decode_plan(&words) {
            Ok(plan) => prop_assert_eq!(encode_plan(&plan), words.clone()),
            Err(error) => prop_assert_eq!(error.code(), "protocol"),
        }
        match decode_transfers(&words) {
            Ok(transfers) => prop_assert_eq!(encode_transfers(&transfers), words.clone()),
            Err(error) => prop_assert_eq!(error.code(), "protocol"),
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Err(error) = decode_events(&bytes) {
            prop_assert_eq!(error.code(), "protocol");
        }
    }
}
