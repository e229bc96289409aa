//! Tokens that an answer must not have: ends before it is long enough, and words.

mod support;

use attentionstore_engine::event::Finish;
use attentionstore_engine::{Bans, CannotGoOn, MaskSource, SequenceSpec, TokenMask};
use support::{BLOCK, Driver};

fn prompt() -> Vec<u32> {
    (0..BLOCK as u32 + 20).map(|index| 3 + index * 7 % 200).collect()
}

/// Up to `count` tokens of the answer, and why it ended.
fn answer(
    driver: &mut Driver,
    sequence: u32,
    count: u32,
    rule: impl FnOnce(&mut SequenceSpec),
    constraint: Option<Box<dyn MaskSource>>,
) -> (Vec<u32>, Option<Finish>) {
    let prompt = prompt();
    let length = prompt.len() as u32;
    driver.add_ruled(sequence, &prompt, constraint, rule);
    let mut tokens = Vec::new();
    for index in 0..count {
        let (from, rows) = if index == 0 { (0, length) } else { (length + index - 1, 1) };
        let row = driver.step(1000 * sequence + index, sequence, from, rows, &[0, 1]);
        tokens.extend(row.token);
        if row.finish.is_some() {
            return (tokens, row.finish);
        }
    }
    (tokens, None)
}

/// Allows one token.
struct Only(u32);

impl MaskSource for Only {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), CannotGoOn> {
        mask.allow(self.0);
        Ok(())
    }

    fn accept(&mut self, _token: u32) -> Result<(), CannotGoOn> {
        Ok(())
    }
}

#[test]
fn a_stop_token_comes_only_where_the_answer_is_long_enough() {
    let mut driver = Driver::open(None);
    let (free, _) = answer(&mut driver, 1, 1, |_| {}, None);
    let stop = free[0];
    let stopped = answer(&mut driver, 2, 8, |spec| spec.stop_tokens = vec![stop], None);
    assert_eq!(stopped, (vec![], Some(Finish::StopToken(stop))));
    let rule = |spec: &mut SequenceSpec| {
        spec.stop_tokens = vec![stop];
        spec.bans.min_tokens = 4;
        // It would be the first one each time.
        spec.sampling.logit_bias = vec![(stop, 1000.0)];
    };
    let (tokens, finish) = answer(&mut driver, 3, 8, rule, None);
    assert_eq!((tokens.len(), finish), (4, Some(Finish::StopToken(stop))));
    assert!(!tokens.contains(&stop));
}

#[test]
fn a_word_that_is_banned_is_not_continued_to_its_end() {
    let mut driver = Driver::open(None);
    let (free, _) = answer(&mut driver, 1, 6, |_| {}, None);
    let word = free[1..4].to_vec();
    let (held, _) = answer(&mut driver, 2, 6, |spec| spec.bans.words = vec![word.clone()], None);
    assert_eq!(held[..3], free[..3]);
    assert_ne!(held[3], free[3]);
    assert!(!held.windows(3).any(|tokens| tokens == word));
}

#[test]
fn where_a_mask_leaves_only_what_is_banned_the_answer_ends() {
    let mut driver = Driver::open(None);
    let words = |spec: &mut SequenceSpec| spec.bans.words = vec![vec![40, 40, 40]];
    let ended = answer(&mut driver, 1, 8, words, Some(Box::new(Only(40))));
    assert_eq!(ended, (vec![40, 40], Some(Finish::NoneAllowed)));
    let short = |spec: &mut SequenceSpec| {
        spec.stop_tokens = vec![40];
        spec.bans = Bans { min_tokens: 3, ..Bans::default() };
    };
    assert_eq!(
        answer(&mut driver, 2, 8, short, Some(Box::new(Only(40)))),
        (vec![], Some(Finish::NoneAllowed))
    );
}
