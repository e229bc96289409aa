//! One answer while its tokens arrive: its parts, and which tokens the record of it keeps.

use std::sync::Arc;

use attentionstore_output::{End, Format, Parser, Part, Piece, Reading};

use super::stops::{StopRule, StopStrings, StopWatch};
use super::tokenizer::Tokenizer;
use super::utf8::Utf8Stream;

/// What one token added to an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Parts that are now certain; those of all deltas and of [`FinishedText`], joined, are the answer.
    pub parts: Vec<Part>,
    /// The stop string that was completed: the answer ends before it, or with it where it is included, and no further
    /// token changes it.
    pub stopped: Option<String>,
}

/// An answer that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedText {
    /// What no delta has brought yet.
    pub rest: Vec<Part>,
    /// Length of the whole answer in bytes, the text of its markers included.
    pub text_bytes: usize,
    /// The first so many tokens, pushed or gone on from, lie wholly inside the answer: their decoding is its beginning. The record
    /// of an answer keeps these and no more.
    pub inside_tokens: usize,
    /// Length in bytes of the decoding of those tokens, the text of markers included.
    pub inside_bytes: usize,
    /// The first so many of all tokens are reasoning and its markers.
    pub reasoning_tokens: usize,
}

/// Turns the tokens of one answer into parts: complete characters only, never a stop string or a part of one, unless the
/// stop string is included.
///
/// Without a format all of it is content. Special tokens that the format does not know and ids without text add nothing,
/// and the record of tokens ends before the first of them, because the rendered conversation will not hold it. Markers
/// of the format are part of the record. Stop strings are looked for in the text as it is generated, markers included, but
/// not in reasoning.
pub struct AnswerText {
    tokenizer: Arc<Tokenizer>,
    stops: Arc<StopStrings>,
    watch: StopWatch,
    stream: Utf8Stream,
    reader: Option<(Arc<Format>, Parser)>,
    /// Text decoded and not yet handed on; it ends with the bytes the watch holds back.
    held: String,
    /// Bytes of text handed on.
    given: usize,
    /// Bytes of text decoded.
    decoded: usize,
    /// For every token, the length of the text after it, or `None` where the text does not end with the token.
    ends: Vec<Option<usize>>,
    /// Of these tokens, those of the message that the answer goes on with.
    begun: usize,
    /// No token counts as inside from here on: one without text came.
    broken: bool,
    stopped: Option<String>,
    /// Nothing but reasoning has come.
    leading: bool,
    reasoning_tokens: usize,
}

impl AnswerText {
    /// An answer that is content and nothing else.
    pub fn new(tokenizer: Arc<Tokenizer>, stops: Arc<StopStrings>) -> Self {
        let watch = StopWatch::new(&stops);
        Self {
            tokenizer,
            stops,
            watch,
            stream: Utf8Stream::default(),
            reader: None,
            held: String::new(),
            given: 0,
            decoded: 0,
            ends: Vec::new(),
            begun: 0,
            broken: false,
            stopped: None,
            leading: true,
            reasoning_tokens: 0,
        }
    }

    /// An answer in the model's own format.
    pub fn of_format(
        tokenizer: Arc<Tokenizer>,
        stops: Arc<StopStrings>,
        format: Arc<Format>,
        reading: Reading,
    ) -> Self {
        let parser = Parser::new(format.clone(), reading);
        Self { reader: Some((format, parser)), ..Self::new(tokenizer, stops) }
    }

    /// Takes the beginning of the message that the answer goes on with: nothing of it is told, and no stop string is looked
    /// for in it. What [`FinishedText`] counts includes it.
    pub fn go_on_from(&mut self, tokens: &[u32]) {
        if tokens.is_empty() {
            return;
        }
        let stops = std::mem::take(&mut self.stops);
        self.watch = StopWatch::new(&self.stops);
        for token in tokens {
            self.push(*token);
        }
        self.begun = self.ends.len();
        self.stops = stops;
        self.watch = StopWatch::new(&self.stops);
        if let Some((_, parser)) = &mut self.reader {
            parser.settle();
        }
    }

    /// The answer so far ends inside of reasoning.
    pub fn in_reasoning(&self) -> bool {
        self.reader.as_ref().is_some_and(|(_, parser)| parser.in_reasoning())
    }

    /// Adds the next token of the answer.
    pub fn push(&mut self, token: u32) -> Delta {
        let mut parts = Vec::new();
        if self.stopped.is_some() {
            return Delta { parts, stopped: self.stopped.clone() };
        }
        let was_reasoning = self.in_reasoning();
        if self.marker(token).is_some() {
            self.push_marker(token, &mut parts);
        } else {
            let mut text = String::new();
            let tokenizer = self.tokenizer.clone();
            match tokenizer.token_bytes(token) {
                Some(bytes) => self.stream.push(bytes, &mut text),
                None => self.broken = true,
            }
            self.end_token(text.len());
            self.push_text(&text, &mut parts);
        }
        self.count_reasoning(was_reasoning, &parts);
        Delta { parts, stopped: self.stopped.clone() }
    }

    /// The text of a marker of the format.
    fn marker(&self, token: u32) -> Option<&str> {
        self.reader.as_ref().and_then(|(format, _)| format.tokens().get(&token)).map(String::as_str)
    }

    /// Notes the end of a token that brought `bytes` of text.
    fn end_token(&mut self, bytes: usize) {
        self.decoded += bytes;
        let inside = !self.broken && self.stream.is_clean();
        self.ends.push(inside.then_some(self.decoded));
    }

    fn push_marker(&mut self, token: u32, parts: &mut Vec<Part>) {
        // A character that the marker cuts would come out behind it.
        self.broken |= !self.stream.is_clean();
        let text = self.marker(token).unwrap_or_default().to_owned();
        self.end_token(text.len());
        if !self.in_reasoning() {
            let before = self.held.len();
            self.held.push_str(&text);
            // A stop string that is included, and that ends with the marker, leaves it the marker that it is.
            if self.find_stop(before) && self.held.len() < before + text.len() {
                return self.release(parts);
            }
            self.held.truncate(before);
            self.release_all(parts);
        }
        self.given += text.len();
        if let Some((_, parser)) = &mut self.reader {
            parts.extend(parser.push(Piece::Token { id: token, text: &text }));
        }
    }

    fn push_text(&mut self, text: &str, parts: &mut Vec<Part>) {
        let reasons = self.reader.as_ref().is_some_and(|(format, _)| format.reasons());
        if self.stops.is_empty() || !reasons {
            let known = self.held.len();
            self.held.push_str(text);
            self.find_stop(known);
            return self.release(parts);
        }
        // Where reasoning begins and ends is known to a character, and with it where stop strings count.
        for (at, character) in text.char_indices() {
            let character = &text[at..at + character.len_utf8()];
            if self.in_reasoning() {
                self.release_all(parts);
                self.hand_on(character, parts);
                continue;
            }
            let known = self.held.len();
            self.held.push_str(character);
            let stopped = self.find_stop(known);
            self.release(parts);
            if stopped {
                return;
            }
        }
    }

    /// Looks for a stop string that ends in what is held from `known` on; what follows it is dropped, and so is the stop
    /// string, unless it is included.
    fn find_stop(&mut self, known: usize) -> bool {
        let StopRule { after, included } = self.stops.rule();
        let counts = self.ends.len() - self.begun > after as usize;
        let Some((end, length)) = self.watch.push(&self.stops, &self.held[known..], counts) else {
            return false;
        };
        let (start, end) = (known + end - length, known + end);
        self.stopped = Some(self.held[start..end].to_owned());
        self.held.truncate(if included { end } else { start });
        true
    }

    /// Hands on what can no longer become part of a stop string.
    fn release(&mut self, parts: &mut Vec<Part>) {
        let keep = if self.stopped.is_some() { 0 } else { self.watch.held() };
        let rest = self.held.split_off(self.held.len() - keep);
        let certain = std::mem::replace(&mut self.held, rest);
        self.hand_on(&certain, parts);
    }

    /// Hands on all that is held: no stop string goes on from here.
    fn release_all(&mut self, parts: &mut Vec<Part>) {
        self.watch = StopWatch::new(&self.stops);
        let held = std::mem::take(&mut self.held);
        self.hand_on(&held, parts);
    }

    fn hand_on(&mut self, text: &str, parts: &mut Vec<Part>) {
        if text.is_empty() {
            return;
        }
        self.given += text.len();
        match &mut self.reader {
            Some((_, parser)) => parts.extend(parser.push(Piece::Text(text))),
            None => parts.push(Part::Content(text.to_owned())),
        }
    }

    /// Counts the tokens up to the end of the first reasoning.
    fn count_reasoning(&mut self, was_reasoning: bool, parts: &[Part]) {
        let reasons = self.in_reasoning();
        if !self.leading {
            return;
        }
        if reasons || was_reasoning {
            self.reasoning_tokens = self.ends.len();
        }
        let begins = |part: &Part| match part {
            Part::Content(text) => !text.trim().is_empty(),
            Part::Call { .. } => true,
            Part::Reasoning(_) | Part::Arguments(_) => false,
        };
        self.leading = reasons || !was_reasoning && !parts.iter().any(begins);
    }

    /// Ends the answer, of itself or by its limit: what was held back comes out, an incomplete character does not.
    pub fn finish(mut self, end: End) -> FinishedText {
        let mut rest = Vec::new();
        self.release_all(&mut rest);
        if let Some((_, parser)) = &mut self.reader {
            rest.extend(parser.finish(end));
        }
        let text_bytes = self.given;
        let inside = self.ends.iter().rposition(|end| end.is_some_and(|end| end <= text_bytes));
        FinishedText {
            rest,
            text_bytes,
            inside_tokens: inside.map_or(0, |last| last + 1),
            inside_bytes: inside.and_then(|last| self.ends[last]).unwrap_or(0),
            reasoning_tokens: self.reasoning_tokens,
        }
    }
}
