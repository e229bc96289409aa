//! The pace of one text's encoding: between two portions of it other texts may have their turn, and a text that turns
//! out to have too many tokens ends there.

use super::error::TextError;

/// Bytes of text from one pause to the next: some milliseconds of work.
const PORTION: usize = 32 << 10;

/// How far one text has come.
pub struct Pace<'a> {
    most: usize,
    portion: usize,
    pause: &'a mut dyn FnMut(),
    /// Tokens of the parts that are done.
    done: usize,
    /// The fewest tokens of the parts that are not begun.
    later: usize,
    /// Bytes since the last pause.
    open: usize,
}

impl<'a> Pace<'a> {
    /// Calls `pause` between portions. More than `most` tokens are refused ([`TextError::TooLong`]).
    pub fn new(most: Option<usize>, pause: &'a mut dyn FnMut()) -> Self {
        let most = most.unwrap_or(usize::MAX);
        Self { most, portion: PORTION, pause, done: 0, later: 0, open: 0 }
    }

    #[cfg(test)]
    pub fn with_portion(mut self, portion: usize) -> Self {
        self.portion = portion;
        self
    }

    /// Bytes from one pause to the next.
    pub(crate) fn portion(&self) -> usize {
        self.portion
    }

    /// Lets others work.
    pub(crate) fn breathe(&mut self) {
        self.open = 0;
        (self.pause)();
    }

    /// Parts are to come that have at least `fewest` tokens together.
    pub(crate) fn expect(&mut self, fewest: usize) -> Result<(), TextError> {
        self.later += fewest;
        self.check(0)
    }

    /// A part of which at least `fewest` tokens were expected begins.
    pub(crate) fn begin(&mut self, fewest: usize) {
        self.later = self.later.saturating_sub(fewest);
    }

    /// A part ended, with `tokens`.
    pub(crate) fn end(&mut self, tokens: usize) -> Result<(), TextError> {
        self.done += tokens;
        self.check(0)
    }

    /// `bytes` more of the part that is under way are encoded; it has `tokens` so far.
    pub(crate) fn spend(&mut self, bytes: usize, tokens: usize) -> Result<(), TextError> {
        self.open += bytes;
        if self.open < self.portion {
            return Ok(());
        }
        self.check(tokens)?;
        self.breathe();
        Ok(())
    }

    fn check(&self, tokens: usize) -> Result<(), TextError> {
        let at_least = self.done.saturating_add(tokens).saturating_add(self.later);
        if at_least > self.most { Err(TextError::TooLong { at_least, most: self.most }) } else { Ok(()) }
    }
}
