//! Answers that are held to something: which tokens come, and that the place in the answer moves with them alone.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use attentionstore_engine::event::{Finish, RowStatus};
use attentionstore_engine::plan::{PlanRow, StepPlan};
use attentionstore_engine::{CannotGoOn, MaskSource, TokenMask};
use support::{BLOCK, Driver, Row, Told, load, plan, save};

/// A question to a source, or a token told to it.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Mask,
    Accept(u32),
}

/// Allows even tokens as long as there are some left to give.
struct Even {
    left: usize,
    asked: Log,
}

impl MaskSource for Even {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
        self.asked.lock().unwrap().push(Asked::Mask);
        if self.left > 0 {
            (0..mask.vocabulary() as u32).step_by(2).for_each(|token| mask.allow(token));
        }
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), CannotGoOn> {
        self.asked.lock().unwrap().push(Asked::Accept(token));
        self.left -= 1;
        Ok(())
    }
}

/// The tokens that a source was told, each after a mask was asked for. The mask after the last one may be under way.
fn told(asked: &Log) -> Vec<u32> {
    let asked = asked.lock().unwrap();
    let pairs = asked.chunks_exact(2).map(|pair| match pair {
        [Asked::Mask, Asked::Accept(token)] => *token,
        other => panic!("{other:?} of {asked:?}"),
    });
    pairs.collect()
}

/// A source was told these tokens. The last one may be on its way to it, until the next is sampled.
fn assert_told(asked: &Log, tokens: &[u32]) {
    let told = told(asked);
    assert!(tokens.starts_with(&told) && told.len() + 1 >= tokens.len(), "{told:?} of {tokens:?}");
}

type Log = Arc<Mutex<Vec<Asked>>>;

fn even(left: usize) -> (Option<Box<dyn MaskSource>>, Log) {
    let asked = Log::default();
    (Some(Box::new(Even { left, asked: asked.clone() })), asked)
}

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// An answer of `count` tokens to `prompt` in slots 0 and 1.
fn answer(driver: &mut Driver, sequence: u32, prompt: &[u32], count: u32) -> Vec<u32> {
    let length = prompt.len() as u32;
    let rows = (0..count).map(|index| match index {
        0 => (0, length),
        _ => (length + index - 1, 1),
    });
    rows.map(|(from, count)| {
        driver.step(100 + from, sequence, from, count, &[0, 1]).token.expect("a token is left")
    })
    .collect()
}

#[test]
fn an_answer_takes_only_what_its_constraint_allows_and_other_answers_stay_free() {
    let mut driver = Driver::open(None);
    let mut sequence = 0;
    let mut free = |driver: &mut Driver, prompt: &[u32]| {
        sequence += 1;
        driver.add(sequence, prompt);
        answer(driver, sequence, prompt, 6)
    };
    let odd = |token: &u32| !token.is_multiple_of(2);
    let prompts = (0..40).map(|shift| prompt().iter().map(|token| token + shift).collect::<Vec<u32>>());
    let (prompt, said) = prompts
        .map(|prompt| (prompt.clone(), free(&mut driver, &prompt)))
        .find(|(_, said)| said.iter().any(odd))
        .expect("the model says odd tokens too");
    let (constraint, asked) = even(100);
    driver.add_held_to(99, &prompt, constraint);
    let held = answer(&mut driver, 99, &prompt, 6);
    assert!(!held.iter().any(odd), "{held:?}");
    assert_told(&asked, &held);
    assert_eq!(free(&mut driver, &prompt), said);
}

#[test]
fn an_answer_for_which_no_token_is_left_ends_and_what_was_planned_of_it_computes_nothing() {
    let mut driver = Driver::open(None);
    let (constraint, asked) = even(1);
    driver.add_held_to(0, &prompt(), constraint);
    let length = prompt().len() as u32;
    let first = driver.step(1, 0, 0, length, &[0, 1]);
    assert!(first.token.is_some_and(|token| token % 2 == 0), "{first:?}");
    assert_eq!(first.finish, None);
    let last = driver.step(2, 0, length, 1, &[0, 1]);
    assert_eq!((last.status, last.token, last.finish), (RowStatus::Ok, None, Some(Finish::NoneAllowed)));
    driver.plan_ahead(3, 0, length + 1);
    match driver.next(|told| matches!(told, Told::Step { step: 3, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!(rows[0].status, RowStatus::Noop),
        other => panic!("{other:?}"),
    }
    assert_eq!(told(&asked), [first.token.unwrap()]);
}

#[test]
fn rows_that_are_void_and_history_that_is_computed_again_leave_the_constraint_where_it_was() {
    let mut driver = Driver::open(Some(1));
    driver.add(0, &prompt());
    driver.step(1, 0, 0, prompt().len() as u32, &[0, 1]);
    assert_eq!(driver.transfer(save(0, 0, BLOCK as u32)), "");
    let (constraint, asked) = even(100);
    driver.add_held_to(1, &prompt(), constraint);
    // In the same moment, so that the load is at its first layer when the step begins; the second is refused, and the
    // step has sampled a token by then.
    *driver.watch.refuse_layer.lock().unwrap() = Some(1);
    driver.submit(&StepPlan { step: 100, ..StepPlan::default() });
    driver.start(&[(99, load(0, 5))]);
    driver.submit(&plan(2, 1, &[5, 6], BLOCK as u32, 20));
    match driver.next(|told| matches!(told, Told::Step { step: 2, .. } | Told::Failed { .. })) {
        Told::Step { rows, .. } => assert_eq!((rows[0].status, rows[0].token), (RowStatus::Void, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!(told(&asked), [0u32; 0], "a token was sampled, and is no part of the answer");
    *driver.watch.refuse_layer.lock().unwrap() = None;
    let length = prompt().len() as u32;
    let first = driver.step(3, 1, 0, length, &[5, 6]).token.unwrap();
    // Preempted: prompt and answer are computed again in other slots, and the next token is sampled.
    let second = driver.step(4, 1, 0, length + 1, &[7, 8]).token.unwrap();
    assert_told(&asked, &[first, second]);
}

/// Says what [`Even`] says when the gate lets it, a mask a time.
struct Gated {
    even: Even,
    gate: Receiver<()>,
}

impl MaskSource for Gated {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
        // An engine that has ended opens it too.
        let _ = self.gate.recv();
        self.even.allow(mask)
    }

    fn accept(&mut self, token: u32) -> Result<(), CannotGoOn> {
        self.even.accept(token)
    }
}

fn gated() -> (Option<Box<dyn MaskSource>>, Sender<()>, Log) {
    let (open, gate) = channel();
    let asked = Log::default();
    (Some(Box::new(Gated { even: Even { left: 100, asked: asked.clone() }, gate })), open, asked)
}

/// Submits a plan of sampled rows `[sequence, from, count]` in the tables as they are.
fn submit_rows(driver: &Driver, step: u32, rows: &[[u32; 3]]) {
    let row = |&[sequence, from, count]: &[u32; 3]| PlanRow { sequence, from, count, sample: true };
    driver.submit(&StepPlan { step, rows: rows.iter().map(row).collect(), ..StepPlan::default() });
}

/// Submits a plan of sampled rows `[sequence, from, count]` in the tables as they are, and gives its reply.
fn rows(driver: &mut Driver, step: u32, rows: &[[u32; 3]]) -> Vec<Row> {
    submit_rows(driver, step, rows);
    reply(driver, step)
}

fn reply(driver: &mut Driver, step: u32) -> Vec<Row> {
    let is_it = |told: &Told| matches!(told, Told::Step { step: replied, .. } if *replied == step);
    match driver.next(|told| is_it(told) || matches!(told, Told::Failed { .. })) {
        Told::Step { rows, .. } => rows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_whose_mask_is_late_is_not_sampled_and_holds_up_no_other_answer() {
    let mut driver = Driver::open(None);
    let length = prompt().len() as u32;
    // What the two say when nothing is late.
    driver.add_held_to(10, &prompt(), even(100).0);
    let held = answer(&mut driver, 10, &prompt(), 2);
    driver.add(11, &prompt());
    let free = answer(&mut driver, 11, &prompt(), 3);

    let (constraint, open, asked) = gated();
    driver.add_held_to(0, &prompt(), constraint);
    driver.add(1, &prompt());
    driver.tables(&[(0, &[0, 1]), (1, &[2, 3])], 1000);
    submit_rows(&driver, 1001, &[[0, 0, length], [1, 0, length]]);
    submit_rows(&driver, 1002, &[[0, length, 1], [1, length, 1]]);
    let first = reply(&mut driver, 1001);
    assert_eq!((first[0].status, first[0].token), (RowStatus::Late, None));
    assert_eq!((first[1].status, first[1].token), (RowStatus::Ok, Some(free[0])));
    let ahead = reply(&mut driver, 1002);
    assert_eq!(
        (ahead[0].status, ahead[0].token),
        (RowStatus::Late, None),
        "it counts on a token that was not sampled"
    );
    assert_eq!((ahead[1].status, ahead[1].token), (RowStatus::Ok, Some(free[1])));
    // Planned again, and still late: nothing of it is computed, and the other one goes on.
    let computed = driver.watch.computed_rows();
    let again = rows(&mut driver, 1003, &[[0, 0, length], [1, length + 1, 1]]);
    assert_eq!((again[0].status, again[1].token), (RowStatus::Late, Some(free[2])));
    assert_eq!(driver.watch.computed_rows() - computed, 1);
    assert_eq!(told(&asked), [0u32; 0]);
    open.send(()).unwrap();
    let token = loop {
        let step = 1004 + driver.fresh();
        let sampled = rows(&mut driver, step, &[[0, 0, length]]);
        if sampled[0].status != RowStatus::Late {
            break sampled[0].token;
        }
    };
    assert_eq!(token, Some(held[0]));
    open.send(()).unwrap();
    let next = loop {
        let step = 1004 + driver.fresh();
        let sampled = rows(&mut driver, step, &[[0, length, 1]]);
        if sampled[0].status != RowStatus::Late {
            break sampled[0].token;
        }
    };
    assert_eq!(next, Some(held[1]));
    assert!(driver.engine.stats().late_rows >= 3);
    drop(open);
}

#[test]
fn a_late_answer_that_is_preempted_goes_on_from_where_it_was() {
    let mut driver = Driver::open(None);
    let length = prompt().len() as u32;
    driver.add_held_to(10, &prompt(), even(100).0);
    let held = answer(&mut driver, 10, &prompt(), 2);
    let (constraint, open, asked) = gated();
    driver.add_held_to(0, &prompt(), constraint);
    open.send(()).unwrap();
    let first = driver.step(1000, 0, 0, length, &[0, 1]).token.unwrap();
    let late = rows(&mut driver, 2001, &[[0, length, 1]]);
    assert_eq!(late[0].status, RowStatus::Late);
    open.send(()).unwrap();
    // All of it is computed again, in other slots.
    let second = driver.step(3000, 0, 0, length + 1, &[5, 6]).token.unwrap();
    assert_eq!([first, second], held[..]);
    assert_told(&asked, &held);
    drop(open);
}

/// Fails in place of its second mask.
struct Broken {
    asked: u32,
    panics: bool,
}

impl MaskSource for Broken {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
        self.asked += 1;
        if self.asked == 1 {
            (0..mask.vocabulary() as u32).for_each(|token| mask.allow(token));
            return Ok(());
        }
        assert!(!self.panics, "a bug");
        Err(CannotGoOn { detail: "too much".into() })
    }

    fn accept(&mut self, _token: u32) -> Result<(), CannotGoOn> {
        Ok(())
    }
}

#[test]
fn an_answer_whose_constraint_fails_ends_and_the_engine_goes_on() {
    let mut driver = Driver::open(None);
    let length = prompt().len() as u32;
    for (sequence, panics) in [(0, false), (1, true)] {
        driver.add_held_to(sequence, &prompt(), Some(Box::new(Broken { asked: 0, panics })));
        assert!(driver.step(100 + sequence, sequence, 0, length, &[0, 1]).token.is_some());
        let last = driver.step(200 + sequence, sequence, length, 1, &[0, 1]);
        assert_eq!(
            (last.status, last.token, last.finish),
            (RowStatus::Ok, None, Some(Finish::ConstraintFailed))
        );
    }
    driver.add(2, &prompt());
    assert!(driver.step(300, 2, 0, length, &[0, 1]).token.is_some());
}

#[test]
fn an_answer_whose_mask_does_not_come_ends_at_its_deadline() {
    let mut driver = Driver::open(None);
    let (constraint, open, _) = gated();
    driver.add_held_to(0, &prompt(), constraint);
    driver.tables(&[(0, &[0, 1])], 1);
    let length = prompt().len() as u32;
    let mut replies = (2..).map(|step| rows(&mut driver, step, &[[0, 0, length]])[0].clone());
    let last = replies.find(|row| row.status != RowStatus::Late).unwrap();
    assert_eq!((last.status, last.finish), (RowStatus::Ok, Some(Finish::ConstraintFailed)));
    drop(open);
}
