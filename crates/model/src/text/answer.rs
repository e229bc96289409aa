//! The text of one answer while its tokens arrive, and which tokens that text really holds.

use std::sync::Arc;

use super::stops::{StopStrings, StopWatch};
use super::tokenizer::Tokenizer;
use super::utf8::Utf8Stream;

/// What one token added to an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Text that is now certain; deltas and the rest of [`FinishedText`], joined, are the answer.
    pub text: String,
    /// The stop string that was completed: the answer ends before it, and no further token changes it.
    pub stopped: Option<String>,
}

/// An answer that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedText {
    /// What no delta has brought yet.
    pub rest: String,
    /// Length of the whole answer in bytes.
    pub text_bytes: usize,
    /// The first so many pushed tokens lie wholly inside the answer: their decoding is its beginning. The record
    /// of an answer keeps these and no more.
    pub inside_tokens: usize,
    /// Length in bytes of the decoding of those tokens.
    pub inside_bytes: usize,
}

/// Turns the tokens of one answer into text: complete characters only, never a stop string or a part of one.
///
/// Special tokens and ids without text add nothing, and the record of tokens ends before the first of them,
/// because the rendered conversation will not hold it.
pub struct AnswerText {
    tokenizer: Arc<Tokenizer>,
    stops: Arc<StopStrings>,
    watch: StopWatch,
    stream: Utf8Stream,
    /// Text decoded and not yet given out; it ends with the bytes the watch holds back.
    held: String,
    /// Bytes of text given out.
    given: usize,
    /// For every token, the length of the text after it, or `None` where the text does not end with the token.
    ends: Vec<Option<usize>>,
    /// No token counts as inside from here on: one without text came.
    broken: bool,
    stopped: Option<String>,
}

impl AnswerText {
    pub fn new(tokenizer: Arc<Tokenizer>, stops: Arc<StopStrings>) -> Self {
        let watch = StopWatch::new(&stops);
        Self {
            tokenizer,
            stops,
            watch,
            stream: Utf8Stream::default(),
            held: String::new(),
            given: 0,
            ends: Vec::new(),
            broken: false,
            stopped: None,
        }
    }

    /// Adds the next token of the answer.
    pub fn push(&mut self, token: u32) -> Delta {
        if self.stopped.is_some() {
            return Delta { text: String::new(), stopped: self.stopped.clone() };
        }
        let known = self.held.len();
        match self.tokenizer.token_bytes(token) {
            Some(bytes) => self.stream.push(bytes, &mut self.held),
            None => self.broken = true,
        }
        let inside = !self.broken && self.stream.is_clean();
        self.ends.push(inside.then_some(self.given + self.held.len()));
        if let Some((end, length)) = self.watch.push(&self.stops, &self.held[known..]) {
            let start = known + end - length;
            self.stopped = Some(self.held[start..known + end].to_owned());
            self.held.truncate(start);
        }
        Delta { text: self.release(), stopped: self.stopped.clone() }
    }

    /// Ends the answer: what was held back comes out, an incomplete character does not.
    pub fn finish(self) -> FinishedText {
        let text_bytes = self.given + self.held.len();
        let inside = self.ends.iter().rposition(|end| end.is_some_and(|end| end <= text_bytes));
        FinishedText {
            text_bytes,
            inside_tokens: inside.map_or(0, |last| last + 1),
            inside_bytes: inside.and_then(|last| self.ends[last]).unwrap_or(0),
            rest: self.held,
        }
    }

    /// Takes out what can no longer become part of a stop string.
    fn release(&mut self) -> String {
        let keep = if self.stopped.is_some() { 0 } else { self.watch.held() };
        let certain = self.held.len() - keep;
        let rest = self.held.split_off(certain);
        self.given += certain;
        std::mem::replace(&mut self.held, rest)
    }
}
