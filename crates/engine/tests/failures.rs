//! Saves and copies beside steps: the order that keeps their bytes right, and the loss, told, of one that fails.

mod support;

use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use attentionstore_engine::event::RowStatus;
use attentionstore_engine::plan::{StepPlan, Transfer};
use attentionstore_engine::wire::{encode_plan, encode_transfers};
use attentionstore_model::backend::Stream;
use support::{BLOCK, Driver, Seen, Told, copy, load, plan, plan_with_save, save};

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// Computes the prompt in slots 0 and 1; the token that follows.
fn compute(driver: &mut Driver) -> Option<u32> {
    driver.add(0, &prompt());
    driver.step(0, 0, 0, prompt().len() as u32, &[0, 1]).token
}

#[test]
fn rows_that_were_not_computed_are_zero_in_what_is_saved() {
    const VALID: u32 = 20;
    let mut driver = Driver::open(None);
    compute(&mut driver);
    assert_eq!(driver.transfer(save(0, 2, BLOCK as u32)), "");
    assert_eq!(driver.transfer(save(0, 1, VALID)), "");
    let layout = driver.engine.info().layout;
    let mut expected = vec![0; layout.host_slot_bytes()];
    let whole = driver.dram(2);
    let payload = expected.len() - layout.block_bytes().next_multiple_of(4096);
    expected[payload..payload + whole.len()].copy_from_slice(&whole);
    layout.zero_tails(&mut expected, VALID as usize).unwrap();
    assert!(driver.dram(1) == expected[payload..payload + whole.len()]);
    assert!(driver.dram(1) != whole, "the block has rows beyond {VALID}");
}

#[test]
fn a_layer_is_saved_behind_its_computation() {
    let mut driver = Driver::open(None);
    driver.add(0, &prompt());
    driver.submit(&plan_with_save(plan(1, 0, &[5, 6], 0, prompt().len() as u32), 0));
    assert_eq!(driver.ended(77), "");
    let order = driver.watch.order.lock().unwrap().clone();
    let place = |seen| order.iter().position(|other| *other == seen).unwrap();
    for layer in 0..driver.engine.info().layout.layers as u32 {
        let between = &order[place(Seen::Run(layer))..place(Seen::Save(layer))];
        assert!(between.contains(&Seen::Wait(Stream::Save, Stream::Compute)), "layer {layer}: {order:?}");
    }
}

#[test]
fn rows_that_are_still_being_loaded_are_copied_and_saved_behind_their_load() {
    let mut driver = Driver::open(Some(1));
    compute(&mut driver);
    assert_eq!(driver.transfer(save(0, 0, BLOCK as u32)), "");
    for (transfer, moved) in
        [((52, copy(8, 9, BLOCK as u32)), Seen::CopyRows), ((52, save(8, 1, BLOCK as u32)), Seen::Save(0))]
    {
        let held = driver.hold();
        driver.start(&[(51, load(0, 8)), transfer]);
        driver.watch.order.lock().unwrap().clear();
        drop(held);
        assert_eq!([51, 52].map(|id| driver.ended(id)), ["", ""]);
        let order = driver.watch.order.lock().unwrap().clone();
        let last = driver.engine.info().layout.layers as u32 - 1;
        let loaded = order.iter().position(|seen| *seen == Seen::Load(last)).unwrap();
        let moves =
            loaded + order[loaded..].iter().position(|seen| *seen == moved).expect("it waits for the load");
        assert!(order[loaded..moves].contains(&Seen::Wait(Stream::Compute, Stream::Load)), "{order:?}");
    }
}

#[test]
fn a_save_that_is_refused_beside_a_step_fails_alone_and_the_step_holds() {
    let mut driver = Driver::open(None);
    let expected = compute(&mut driver);
    *driver.watch.refuse_save_layer.lock().unwrap() = Some(1);
    driver.add(1, &prompt());
    driver.submit(&plan_with_save(plan(1, 1, &[5, 6], 0, prompt().len() as u32), 0));
    match driver.next(|told| matches!(told, Told::Step { step: 1, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!((rows[0].status, rows[0].token), (RowStatus::Ok, expected)),
        other => panic!("{other:?}"),
    }
    assert_eq!(driver.ended(77), "save_failed");
    *driver.watch.refuse_save_layer.lock().unwrap() = None;
    assert_eq!(driver.transfer(save(5, 2, BLOCK as u32)), "");
}

#[test]
fn a_save_into_a_slot_that_does_not_exist_takes_no_other_of_its_batch_along() {
    let mut driver = Driver::open(None);
    compute(&mut driver);
    driver.start(&[(51, save(0, 40_000, BLOCK as u32)), (52, save(0, 1, BLOCK as u32))]);
    assert_eq!([51, 52].map(|id| driver.ended(id)), ["kv_invalid", ""]);
}

/// The dram slot is used again once the save is told to have failed: layers before the refused one must have arrived.
#[test]
fn a_save_refused_midway_is_told_only_when_its_earlier_layers_are_no_longer_on_their_way() {
    let mut driver = Driver::open(None);
    compute(&mut driver);
    *driver.watch.refuse_save_layer.lock().unwrap() = Some(1);
    let (slow, under_way) = channel::<()>();
    *driver.watch.slow_save.lock().unwrap() = Some(under_way);
    driver.start(&[(51, save(0, 2, BLOCK as u32))]);
    // A step is run after the save was refused, and its reply comes while the first layer is still on its way.
    driver.add(1, &prompt());
    driver.step(1, 1, 0, prompt().len() as u32, &[5, 6]);
    assert!(!driver.has_ended(51), "the save was told to have ended while it was on its way");
    drop(slow);
    assert_eq!(driver.ended(51), "save_failed");
}

#[test]
fn a_panic_of_the_engine_thread_is_told_and_later_calls_are_refused() {
    let mut driver = Driver::open(None);
    driver.add(0, &prompt());
    driver.watch.panic.store(true, Ordering::Relaxed);
    driver.submit(&plan(0, 0, &[0, 1], 0, 84));
    match driver.next(|told| matches!(told, Told::Failed { .. })) {
        Told::Failed { code, message } => {
            assert_eq!(code, "panic");
            assert!(message.contains("the step panics"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    driver.engine.close();
    assert_eq!(driver.engine.submit(&encode_plan(&StepPlan::default())).unwrap_err().code(), "engine_closed");
    assert_eq!(driver.engine.drop_sequence(0).unwrap_err().code(), "engine_closed");
    let load = encode_transfers(&[Transfer { id: 99, kind: load(0, 5) }]);
    assert_eq!(driver.engine.transfer(&load).unwrap_err().code(), "engine_closed");
}
