//! A vocabulary of bytes and some longer tokens, and answers that follow a matcher through it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use attentionstore_grammar::{Compiler, Grammar, GrammarError, Limits, Matcher, Source, Vocabulary};

/// The token that ends an answer, another one, and a special token that a grammar may name.
pub const END: u32 = 256;
pub const OTHER_END: u32 = 257;
pub const CALL: u32 = 258;
/// Tokens of several bytes, some of which say the same as others.
const LONG: [&str; 14] =
    ["{\"", "\":", "\", \"", "true", "name", "null", "  ", "\n\n", "ab", "abc", "ab", "}}", "[[", "é"];

pub fn vocabulary() -> Vocabulary {
    let mut vocabulary = Vocabulary::new(300, vec![END, OTHER_END]);
    for byte in 0..=255u8 {
        vocabulary.text(u32::from(byte), &[byte]);
    }
    vocabulary.special(END, b"<|end|>");
    vocabulary.special(OTHER_END, b"<|eot|>");
    vocabulary.special(CALL, b"<|call|>");
    for (id, text) in (259..).zip(LONG) {
        vocabulary.text(id, text.as_bytes());
    }
    vocabulary
}

pub fn bytes_of(token: u32) -> Vec<u8> {
    match token {
        0..=255 => vec![token as u8],
        CALL => b"<|call|>".to_vec(),
        _ => LONG[(token - 259) as usize].as_bytes().to_vec(),
    }
}

pub fn compiler() -> Compiler {
    Compiler::new(&vocabulary(), &Limits::default()).expect("the vocabulary is one")
}

pub fn compile(source: Source) -> Result<Arc<Grammar>, GrammarError> {
    compiler().compile(&source)
}

pub fn mask(matcher: &mut Matcher) -> Vec<u32> {
    let mut words = vec![0u32; 300usize.div_ceil(32)];
    matcher.fill(&mut words).expect("a mask");
    (0..300).filter(|token| words[*token as usize / 32] >> (token % 32) & 1 == 1).collect()
}

/// Whether an answer may be `text`, byte by byte, and end there.
pub fn takes(grammar: &Grammar, text: &str) -> bool {
    let mut matcher = grammar.matcher();
    for byte in text.bytes() {
        if !mask(&mut matcher).contains(&u32::from(byte)) {
            return false;
        }
        matcher.accept(u32::from(byte)).expect("it was allowed");
    }
    let allowed = mask(&mut matcher);
    assert_eq!(allowed.contains(&END), allowed.contains(&OTHER_END));
    allowed.contains(&END)
}

/// Whether `text` is JSON. Numbers may be greater than a double holds.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A generator of numbers that are the same each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// An answer of random allowed tokens, at most `most`; `None`: it has not ended by then.
pub fn random_answer(grammar: &Grammar, seed: u64, most: usize) -> Option<Vec<u8>> {
    let mut random = Random(seed);
    let mut matcher = grammar.matcher();
    let mut answer = Vec::new();
    for _ in 0..most {
        let allowed = mask(&mut matcher);
        assert!(
            !allowed.is_empty(),
            "seed {seed}: nothing may follow {:?}",
            String::from_utf8_lossy(&answer)
        );
        // Texts of any length are allowed: most answers should end before `most`.
        let closing = [END, u32::from(b'"'), u32::from(b'}'), u32::from(b']')];
        let ends = closing.iter().find(|token| allowed.contains(token) && random.below(3) == 0);
        let token = ends.copied().unwrap_or_else(|| allowed[random.below(allowed.len())]);
        if token == END || token == OTHER_END {
            return Some(answer);
        }
        answer.extend(bytes_of(token));
        matcher.accept(token).expect("it was allowed");
    }
    None
}
