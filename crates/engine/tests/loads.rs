//! Loads beside steps: layer by layer, as far ahead as asked for, and what becomes of a load that fails.

mod support;

use std::sync::atomic::Ordering;

use support::{BLOCK, Driver, Seen, Told};

const LOAD: u32 = 0;
const SAVE: u32 = 1;
const VOID: u32 = 2;

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// Computes the prompt in slots 0 and 1 and saves its first block to dram slot 0; the token that follows.
fn compute_and_save(driver: &mut Driver) -> Option<u32> {
    driver.add(0, &prompt());
    let row = driver.step(0, 0, 0, prompt().len() as u32, &[0, 1]);
    assert_eq!(driver.transfer(SAVE, 0, 0, BLOCK as u32), "");
    row.token
}

#[test]
fn a_history_that_was_loaded_gives_the_token_that_was_computed_however_far_ahead_layers_are_loaded() {
    for ahead in [None, Some(1)] {
        let mut driver = Driver::open(ahead);
        let expected = compute_and_save(&mut driver);
        driver.add(1, &prompt());
        assert_eq!(driver.transfer(LOAD, 0, 5, 0), "");
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
    // The plan waits behind the load in the same moment, so nothing releases the batch before its step.
    let mut load = vec![LOAD, 99, 0, 5, 0];
    load.extend([0; 8]);
    let step = [1, 0, 2, 1, 0, 1, 0, 5, 1, 1, 6, 1, BLOCK as u32, 20, 1];
    driver.engine.submit(&[100, 0, 0, 0, 0]).unwrap();
    driver.engine.transfer(&load).unwrap();
    driver.engine.submit(&step).unwrap();
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
    let words: Vec<u32> = [1, 0, 5, 1, 0]
        .into_iter()
        .chain((0..5).flat_map(|block| [1, block, 6 + block]))
        .chain([1, 0, 300, 1])
        .collect();
    driver.engine.submit(&words).unwrap();
    running.recv().unwrap();
    let mut load = vec![LOAD, 99, 0, 5, 0];
    load.extend([0; 8]);
    driver.engine.transfer(&load).unwrap();
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
    assert_eq!(driver.transfer(LOAD, 0, 5, 0), "load_failed");
    let row = driver.step(1, 1, BLOCK as u32, 20, &[5, 6]);
    assert_eq!((row.status, row.token), (VOID, None));
    driver.watch.refuse_loads.store(false, Ordering::Relaxed);
    assert_eq!(driver.transfer(LOAD, 0, 5, 0), "");
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
    // In the same moment, so that the batch is still at its first layer when the step begins.
    let mut load = vec![LOAD, 99, 0, 5, 0];
    load.extend([0; 8]);
    driver.engine.submit(&[100, 0, 0, 0, 0]).unwrap();
    driver.engine.transfer(&load).unwrap();
    let rows = [1, 0, 2, 1, 1, 1, 0, 5, 1, 1, 6, 1, BLOCK as u32, BLOCK as u32, 1];
    driver.engine.submit(&rows.into_iter().chain([77, 1, 1, 2, BLOCK as u32]).collect::<Vec<_>>()).unwrap();
    match driver.next(|told| matches!(told, Told::Step { step: 1, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!((rows[0].status, rows[0].token), (VOID, None)),
        other => panic!("{other:?}"),
    }
    match driver.next(|told| matches!(told, Told::Transfer { id: 77, .. })) {
        Told::Transfer { error, .. } => assert_eq!(error, "not_computed"),
        other => panic!("{other:?}"),
    }
    *driver.watch.refuse_layer.lock().unwrap() = None;
    driver.add(2, &prompt());
    assert_eq!(driver.transfer(LOAD, 0, 5, 0), "");
    assert_eq!(driver.step(2, 2, BLOCK as u32, 20, &[5, 6]).token, expected);
}

#[test]
fn a_row_that_was_planned_on_the_token_of_a_void_step_is_void_too() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    driver.add(1, &prompt());
    driver.watch.refuse_loads.store(true, Ordering::Relaxed);
    assert_eq!(driver.transfer(LOAD, 0, 5, 0), "load_failed");
    assert_eq!(driver.step(1, 1, BLOCK as u32, 20, &[5, 6]).status, VOID);
    driver.plan_ahead(2, 1, prompt().len() as u32);
    match driver.next(|told| matches!(told, Told::Step { step: 2, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!(rows[0].status, VOID),
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
    assert_eq!(driver.transfer(LOAD, 0, 5, 0), "load_failed");
    assert_eq!(driver.step(1, 1, 0, prompt().len() as u32, &[5, 6]).token, expected);
}

#[test]
fn a_slot_that_does_not_exist_is_an_error_of_the_transfer_and_the_engine_goes_on() {
    let mut driver = Driver::open(None);
    let expected = compute_and_save(&mut driver);
    assert_eq!(driver.transfer(LOAD, 40_000, 5, 0), "kv_invalid");
    assert_eq!(driver.transfer(SAVE, 0, 40_000, 64), "kv_invalid");
    driver.add(1, &prompt());
    assert_eq!(driver.step(1, 1, 0, prompt().len() as u32, &[5, 6]).token, expected);
}

#[test]
fn a_plan_that_breaks_the_protocol_ends_the_engine_with_its_reason() {
    let mut driver = Driver::open(None);
    driver.engine.submit(&[0, 0, 0, 1, 0, 7, 0, 1, 1]).unwrap();
    let told = driver.next(|told| matches!(told, Told::Failed { .. }));
    assert_eq!(told, Told::Failed { code: "protocol".into() });
}
