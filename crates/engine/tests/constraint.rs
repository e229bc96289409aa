//! Answers that are held to something: which tokens come, and that the place in the answer moves with them alone.

mod support;

use std::sync::{Arc, Mutex};

use attentionstore_engine::event::{Finish, RowStatus};
use attentionstore_engine::plan::StepPlan;
use attentionstore_engine::{MaskSource, TokenMask};
use support::{BLOCK, Driver, Told, load, plan, save};

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
    fn allow(&mut self, mask: &mut TokenMask) {
        self.asked.lock().unwrap().push(Asked::Mask);
        if self.left > 0 {
            (0..mask.vocabulary() as u32).step_by(2).for_each(|token| mask.allow(token));
        }
    }

    fn accept(&mut self, token: u32) {
        self.asked.lock().unwrap().push(Asked::Accept(token));
        self.left -= 1;
    }
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
    let expected: Vec<Asked> = held.iter().flat_map(|&token| [Asked::Mask, Asked::Accept(token)]).collect();
    assert_eq!(*asked.lock().unwrap(), expected);
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
    let accepted = first.token.unwrap();
    assert_eq!(*asked.lock().unwrap(), [Asked::Mask, Asked::Accept(accepted), Asked::Mask]);
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
    assert_eq!(*asked.lock().unwrap(), [Asked::Mask], "a token was sampled, and is no part of the answer");
    *driver.watch.refuse_layer.lock().unwrap() = None;
    let length = prompt().len() as u32;
    let first = driver.step(3, 1, 0, length, &[5, 6]).token.unwrap();
    let before = asked.lock().unwrap().len();
    // Preempted: prompt and answer are computed again in other slots, and the next token is sampled.
    let second = driver.step(4, 1, 0, length + 1, &[7, 8]).token.unwrap();
    assert_eq!(asked.lock().unwrap()[before..], [Asked::Mask, Asked::Accept(second)]);
    let accepted: Vec<Asked> =
        asked.lock().unwrap().iter().filter(|asked| **asked != Asked::Mask).cloned().collect();
    assert_eq!(accepted, [Asked::Accept(first), Asked::Accept(second)]);
}
