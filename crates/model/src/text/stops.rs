//! Stop strings, watched byte by byte.

use super::error::TextError;

/// The stop strings of one request, prepared once and shared by its answers.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    patterns: Vec<Pattern>,
    rule: StopRule,
}

/// What a stop string that is complete does to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopRule {
    /// Stop strings that are complete within the first so many tokens end nothing.
    pub after: u32,
    /// The stop string is the end of the answer; else the answer ends before it.
    pub included: bool,
}

/// One stop string with its Knuth–Morris–Pratt failure table.
#[derive(Clone, Debug)]
struct Pattern {
    bytes: Vec<u8>,
    /// `fallback[n]`: length of the longest proper border of the first `n + 1` bytes.
    fallback: Vec<usize>,
}

impl StopStrings {
    /// Prepares `stops`; their order does not matter. An empty string is refused: it would stop everything.
    pub fn new<S: AsRef<str>>(stops: &[S]) -> Result<Self, TextError> {
        let patterns =
            stops.iter().map(|stop| Pattern::new(stop.as_ref().as_bytes())).collect::<Result<_, _>>()?;
        Ok(Self { patterns, rule: StopRule::default() })
    }

    /// The same strings under another rule.
    pub fn ruled(self, rule: StopRule) -> Self {
        Self { rule, ..self }
    }

    pub fn rule(&self) -> StopRule {
        self.rule
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl Pattern {
    fn new(bytes: &[u8]) -> Result<Self, TextError> {
        if bytes.is_empty() {
            return Err(TextError::EmptyStop);
        }
        let mut fallback = vec![0; bytes.len()];
        let mut border = 0;
        for n in 1..bytes.len() {
            while border > 0 && bytes[n] != bytes[border] {
                border = fallback[border - 1];
            }
            border += usize::from(bytes[n] == bytes[border]);
            fallback[n] = border;
        }
        Ok(Self { bytes: bytes.to_vec(), fallback })
    }

    /// How many of the pattern's bytes the text ends with after `byte`, when it ended with `matched` before.
    fn advance(&self, mut matched: usize, byte: u8) -> usize {
        while matched > 0 && self.bytes[matched] != byte {
            matched = self.fallback[matched - 1];
        }
        matched + usize::from(self.bytes[matched] == byte)
    }
}

/// How far each stop string has matched at the end of one answer's text.
#[derive(Clone, Debug)]
pub(crate) struct StopWatch {
    matched: Vec<usize>,
}

impl StopWatch {
    pub fn new(stops: &StopStrings) -> Self {
        Self { matched: vec![0; stops.patterns.len()] }
    }

    /// Takes `text` up to the first byte at which a stop string is complete; `Some((end, length))` is that place
    /// in `text` and the length of the longest stop string that ends there. Which one is found depends only on
    /// the text, not on how it was cut into pieces. Nothing may be pushed after a stop was found. Where the stop strings
    /// do not `count` yet, none is found, and one may still begin in this text.
    pub fn push(&mut self, stops: &StopStrings, text: &str, count: bool) -> Option<(usize, usize)> {
        if stops.is_empty() {
            return None;
        }
        for (at, byte) in text.bytes().enumerate() {
            let mut found = 0;
            for (matched, pattern) in self.matched.iter_mut().zip(&stops.patterns) {
                *matched = pattern.advance(*matched, byte);
                if *matched == pattern.bytes.len() {
                    found = found.max(*matched);
                    *matched = if count { *matched } else { pattern.fallback[*matched - 1] };
                }
            }
            if found > 0 && count {
                return Some((at + 1, found));
            }
        }
        None
    }

    /// Bytes at the end of the text that may still become part of a stop string.
    pub fn held(&self) -> usize {
        self.matched.iter().copied().max().unwrap_or(0)
    }
}
