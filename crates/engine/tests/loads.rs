//! Loads beside steps: layer by layer, as far ahead as asked for, and what becomes of a load that fails.

mod support;

use std::sync::atomic::Ordering;

use attentionstore_engine::event::RowStatus;
use support::{BLOCK, Driver, Seen, Told, copy, load, plan, plan_with_save, save};

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// Computes the prompt in slots 0 and 1 and saves its first block to dram slot 0; the token that follows.
fn compute_and_save(driver: &mut Driver) -> Option<u32> {
    driver.add(0, &prompt());
    let row = driver.step(0, 0, 0, prompt().len() as u32, &[0, 1]);
    assert_eq!(driver.transfer(save(0, 0, BLOCK as u32)), "");
    row.token
}

#[test]
fn a_history_that_was_loaded_gives_the_token_that_was_computed_however_far_ahead_layers_are_loaded() {
    for ahead in [None, Some(1)] {
        let mut driver = Driver::open(ahead);
        let expected = compute_and_save(&mut driver);
        driver.add(1, &prompt());
        assert_eq!(driver.transfer(load(0, 5)), "");
        let row = driver.step(1, 1, BLOCK as u32, 20, &[5, 6]);
        assert_eq!(row.token, expected, "ahead: {ahead:?}");
    }
}

#[test]
fn with_one_layer_ahead_the_second_layer_is_loaded_only_when_the_first_is_about_to_run() {
    let mut driver = Driver::open(Some(1));
    compute_and_save(&mut driver);
    driver.add(1, &prompt());
    driver.watch.order.lock().unwrap().clear();
    // The plan waits behind the load while a copy is made, so nothing releases the batch before its step.
    let held = driver.hold();
    driver.start(&[(99, load(0, 5))]);
    driver.submit(&plan(1, 1, &[5, 6], BLOCK as u32, 20));
    drop(held);
    driver.next(|told| matches!(told, Told::Step { step: 1, .. }));
    let order = driver.watch.order.lock().unwrap().clone();
    let place = |seen| order.iter().position(|other| *other == seen).unwrap();
    assert!(place(Seen::Load(0)) < place(Seen::Run(0)), "{order:?}");
    assert!(place(Seen::Load(1)) < place(Seen::Run(1)), "{order:?}");
}

#[test]
fn a_load_that_arrives_while_a_long_step_runs_on_the_device_starts_beside_it() {
    let mut driver = Driver::open(None);
    compute_and_save(&mut driver);
    let long: Vec<u32> = (0..300).map(|index| 3 + index % 200).collect();
    driver.add(1, &long);
    let (told, running) = std::sync::mpsc::channel();
    *driver.watch.running.lock().unwrap() = Some(told);
    driver.watch.order.lock().unwrap().clear();
    driver.submit(&plan(1, 1, &[6, 7, 8, 9, 10], 0, 300));
    running.recv().unwrap();
    driver.start(&[(99, load(0, 5))]);
    driver.next(|told| matches!(told, Told::Step { step: 1, .. }));
    let order = driver.watch.order.lock().unwrap().clone();
    assert!(order.contains(&Seen::Load(0)), "the step was over before the load began: {order:?}");
}

#[test]
fn rows_whose_history_failed_to_load_are_void_until_it_is_loaded_again() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.add(1, &prompt());
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "load_failed");
    let row = driver.step(1, 1, BLOCK as u32, 20, &[5, 6]);
    assert_eq!((row.status, row.token), (RowStatus::Void, None));
    driver.watch.refuse_loads.store(false, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "");
    assert_eq!(driver.step(2, 1, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn a_load_that_fails_between_two_layers_of_a_step_makes_its_rows_void_and_saves_nothing_of_them() {
    let mut driver = Driver::open(Some(1));
    let expected = compute_and_save(&mut driver);
    let mut tokens = prompt();
    tokens.resize(2 * BLOCK, 9);
    driver.add(1, &tokens);
    *driver.watch.refuse_layer.lock().unwrap() = Some(1);
    // Behind a copy that is being made, so that the batch is still at its first layer when its own step begins.
    let held = driver.hold();
    driver.start(&[(99, load(0, 5))]);
    driver.submit(&plan_with_save(plan(1, 1, &[5, 6], BLOCK as u32, BLOCK as u32), 1));
    drop(held);
    match driver.next(|told| matches!(told, Told::Step { step: 1, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!((rows[0].status, rows[0].token), (RowStatus::Void, None)),
        other => panic!("{other:?}"),
    }
    match driver.next(|told| matches!(told, Told::Transfer { id: 77, .. })) {
        Told::Transfer { error, .. } => assert_eq!(error, "not_computed"),
        other => panic!("{other:?}"),
    }
    *driver.watch.refuse_layer.lock().unwrap() = None;
    driver.add(2, &prompt());
    assert_eq!(driver.transfer(load(0, 5)), "");
    assert_eq!(driver.step(2, 2, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn a_row_that_was_planned_on_the_token_of_a_void_step_is_void_too() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.add(1, &prompt());
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "load_failed");
    assert_eq!(driver.step(1, 1, BLOCK as u32, 20, &[5, 6]).status, RowStatus::Void);
    driver.plan_ahead(2, 1, prompt().len() as u32);
    match driver.next(|told| matches!(told, Told::Step { step: 2, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!(rows[0].status, RowStatus::Void),
        other => panic!("{other:?}"),
    }
    assert_eq!(driver.step(3, 1, 0, prompt().len() as u32, &[5, 6]).token, expected);
}

#[test]
fn a_slot_whose_load_failed_can_be_computed_from_its_first_token() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.add(1, &prompt());
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "load_failed");
    assert_eq!(driver.step(1, 1, 0, prompt().len() as u32, &[5, 6]).token, expected);
}

/// Plans one ahead of their loads, with another load in front on the link: a plan never runs before its load is known.
#[test]
fn a_step_reads_what_was_loaded_although_its_plan_arrives_with_the_load() {
    let mut driver = Driver::open(None);
    driver.add(0, &prompt());
    driver.compute(0, 0, BLOCK as u32, &[0, 1]);
    driver.take_logits();
    driver.compute(0, BLOCK as u32, 20, &[0, 1]);
    let expected = driver.take_logits();
    assert_eq!(driver.transfer(save(0, 0, BLOCK as u32)), "");
    let other: Vec<u32> = prompt().iter().map(|token| 5 + token * 13 % 190).collect();
    for round in 1..=200 {
        let [noise, sequence] = [10_000 + round, 20_000 + round];
        driver.add(noise, &other);
        driver.compute(noise, 0, other.len() as u32, &[5, 6]);
        driver.take_logits();
        driver.add(sequence, &prompt());
        driver.start(&[(30_000 + round, load(0, 5))]);
        let step = 40_000 + round;
        let mut rows = plan(step, sequence, &[5, 6], BLOCK as u32, 20);
        rows.rows[0].sample = false;
        driver.submit(&rows);
        driver.next(|told| matches!(told, Told::Step { step: replied, .. } if *replied == step));
        assert_eq!(driver.take_logits(), expected, "round {round}");
        driver.ended(30_000 + round);
        [noise, sequence].iter().for_each(|ended| driver.engine.drop_sequence(*ended).unwrap());
    }
}

#[test]
fn a_slot_that_does_not_exist_is_an_error_of_the_transfer_and_the_engine_goes_on() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    assert_eq!(driver.transfer(load(40_000, 5)), "kv_invalid");
    assert_eq!(driver.transfer(save(0, 40_000, 64)), "kv_invalid");
    driver.add(1, &prompt());
    assert_eq!(driver.step(1, 1, 0, prompt().len() as u32, &[5, 6]).token, expected);
}

#[test]
fn a_copy_into_a_slot_whose_load_failed_can_be_used() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "load_failed");
    driver.watch.refuse_loads.store(false, Ordering::Relaxed);
    assert_eq!(driver.transfer(copy(0, 5, BLOCK as u32)), "");
    driver.add(1, &prompt());
    assert_eq!(driver.step(1, 1, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn rows_that_nothing_was_loaded_into_are_neither_copied_nor_saved() {
    let mut driver = Driver::open(None);
    compute_and_save(&mut driver);
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(load(0, 5)), "load_failed");
    assert_eq!(driver.transfer(copy(5, 7, BLOCK as u32)), "load_failed");
    assert_eq!(driver.transfer(save(5, 1, BLOCK as u32)), "load_failed");
    driver.add(1, &prompt());
    assert_eq!(driver.step(1, 1, BLOCK as u32, 20, &[7, 6]).status, RowStatus::Void);
}

#[test]
fn a_slot_whose_copy_was_refused_is_void_until_it_is_filled_anew() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.watch.refuse_row_copies.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(copy(0, 5, BLOCK as u32)), "model_device");
    driver.add(1, &prompt());
    assert_eq!(driver.step(1, 1, BLOCK as u32, 20, &[5, 6]).status, RowStatus::Void);
    assert_eq!(driver.transfer(load(0, 5)), "");
    assert_eq!(driver.step(2, 1, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn a_load_that_is_refused_takes_no_other_of_its_batch_along() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    *driver.watch.refuse_load_into.lock().unwrap() = Some(7);
    driver.start(&[(51, load(0, 5)), (52, load(0, 7)), (53, load(40_000, 8)), (54, load(0, 9))]);
    let ends = [51, 52, 53, 54].map(|id| driver.ended(id));
    assert_eq!(ends, ["", "load_failed", "kv_invalid", ""]);
    for (sequence, slot) in [(1, 5), (2, 9)] {
        driver.add(sequence, &prompt());
        assert_eq!(driver.step(sequence, sequence, BLOCK as u32, 20, &[slot, 6]).token, expected);
    }
    for (sequence, slot) in [(3, 7), (4, 8)] {
        driver.add(sequence, &prompt());
        assert_eq!(driver.step(sequence, sequence, BLOCK as u32, 20, &[slot, 6]).status, RowStatus::Void);
    }
}

/// A stream may tell of a failure only when the step that awaits its work has run.
#[test]
fn rows_over_a_load_that_failed_on_its_way_are_void_and_nothing_of_them_is_saved() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    let mut tokens = prompt();
    tokens.resize(2 * BLOCK, 9);
    driver.add(1, &tokens);
    driver.watch.fail_loads.store(true, Ordering::Relaxed);
    let held = driver.hold();
    driver.start(&[(99, load(0, 5)), (98, copy(5, 7, BLOCK as u32))]);
    driver.submit(&plan_with_save(plan(1, 1, &[5, 6], BLOCK as u32, BLOCK as u32), 1));
    drop(held);
    match driver.next(|told| matches!(told, Told::Step { step: 1, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!((rows[0].status, rows[0].token), (RowStatus::Void, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!([99, 98, 77].map(|id| driver.ended(id)), ["load_failed", "load_failed", "not_computed"]);
    driver.watch.fail_loads.store(false, Ordering::Relaxed);
    driver.add(2, &prompt());
    assert_eq!(driver.step(2, 2, BLOCK as u32, 20, &[7, 6]).status, RowStatus::Void);
    assert_eq!(driver.transfer(load(0, 5)), "");
    driver.add(3, &prompt());
    assert_eq!(driver.step(3, 3, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn a_load_among_commands_that_are_no_plans_ends_although_no_step_comes() {
    let mut driver = Driver::open(Some(1));
    compute_and_save(&mut driver);
    let held = driver.hold();
    (0..1000).for_each(|_| driver.engine.drop_sequence(77).unwrap());
    driver.start(&[(99, load(0, 5))]);
    (0..1000).for_each(|_| driver.engine.drop_sequence(77).unwrap());
    drop(held);
    assert_eq!(driver.ended(99), "");
}

#[test]
fn a_plan_that_breaks_the_protocol_ends_the_engine_with_its_reason() {
    let mut driver = Driver::open(None);
    driver.submit(&plan(0, 7, &[], 0, 1));
    let told = driver.next(|told| matches!(told, Told::Failed { .. }));
    assert!(matches!(told, Told::Failed { code, .. } if code == "protocol"));
}
