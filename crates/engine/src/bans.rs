//! Tokens that an answer must not go on with, however likely they are.

/// What a request forbids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bans {
    /// The model's end tokens never come.
    pub ignore_eos: bool,
    /// Before the answer has so many tokens, neither an end token nor a stop token comes.
    pub min_tokens: u32,
    /// Sequences of tokens that the answer must not contain; an empty one forbids nothing.
    pub words: Vec<Vec<u32>>,
}

impl Bans {
    /// The tokens that must not follow `answer`, each once, ascending.
    pub fn after(&self, answer: &[u32], end_tokens: &[u32], stop_tokens: &[u32]) -> Vec<u32> {
        let is_short = answer.len() < self.min_tokens as usize;
        let mut banned: Vec<u32> = Vec::new();
        if self.ignore_eos || is_short {
            banned.extend(end_tokens);
        }
        if is_short {
            banned.extend(stop_tokens);
        }
        banned.extend(self.words.iter().filter_map(|word| last_of(word, answer)));
        banned.sort_unstable();
        banned.dedup();
        banned
    }
}

/// The last token of `word`, where the others stand at the end of `answer`.
fn last_of(word: &[u32], answer: &[u32]) -> Option<u32> {
    let (last, before) = word.split_last()?;
    answer.ends_with(before).then_some(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_banned_where_nothing_is_asked_for() {
        assert!(Bans::default().after(&[1, 2], &[9], &[8]).is_empty());
    }

    #[test]
    fn end_and_stop_tokens_are_banned_until_the_answer_is_long_enough() {
        let bans = Bans { min_tokens: 2, ..Bans::default() };
        assert_eq!(bans.after(&[], &[9], &[8, 9]), [8, 9]);
        assert_eq!(bans.after(&[1], &[9], &[8]), [8, 9]);
        assert!(bans.after(&[1, 2], &[9], &[8]).is_empty());
    }

    #[test]
    fn the_end_that_is_ignored_stays_banned_and_stop_tokens_do_not() {
        let bans = Bans { ignore_eos: true, min_tokens: 1, ..Bans::default() };
        assert_eq!(bans.after(&[], &[9], &[8]), [8, 9]);
        assert_eq!(bans.after(&[1], &[9], &[8]), [9]);
    }

    #[test]
    fn the_last_token_of_a_word_is_banned_where_the_others_precede_it() {
        let words = vec![vec![5], vec![1, 2, 3], vec![2, 4], vec![]];
        let bans = Bans { words, ..Bans::default() };
        assert_eq!(bans.after(&[], &[], &[]), [5]);
        assert_eq!(bans.after(&[1], &[], &[]), [5]);
        assert_eq!(bans.after(&[1, 2], &[], &[]), [3, 4, 5]);
        assert_eq!(bans.after(&[7, 2], &[], &[]), [4, 5]);
        assert_eq!(bans.after(&[1, 2, 7], &[], &[]), [5]);
    }
}
