//! Marks around pieces of text, made of private-use characters, that nobody can forge.

use std::ops::Range;

use super::template::Source;

/// Marks are written in U+E000 … U+F8FF.
const FIRST_CHAR: u32 = 0xE000;
const CHARS: u32 = 0x1900;
/// Characters of the part that all marks of one request begin with.
const NONCE_CHARS: usize = 8;
/// Characters of a mark's number, in base [`CHARS`].
const NUMBER_CHARS: usize = 3;

/// What the marks of one request begin with.
#[derive(Clone, Debug)]
pub(crate) struct Nonce(String);

impl Nonce {
    /// Derived from all texts and absent from each of them: no user can write a mark, and the same request always
    /// gets the same one. Its first character does not come again, so that it cannot overlap itself.
    pub fn absent_from(source: &str, texts: &[(Source, &str)]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(source.as_bytes());
        for (_, text) in texts {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        loop {
            let digest = hasher.finalize();
            let numbers =
                digest.as_bytes().chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let nonce: String = numbers.take(NONCE_CHARS).map(|number| number_char(number.into())).collect();
            let apart = nonce.chars().skip(1).all(|char| !nonce.starts_with(char));
            if apart && !source.contains(&nonce) && !texts.iter().any(|(_, text)| text.contains(&nonce)) {
                return Self(nonce);
            }
            hasher.update(digest.as_bytes());
        }
    }
}

fn number_char(number: u32) -> char {
    char::from_u32(FIRST_CHAR + number % CHARS).unwrap_or('\u{E000}')
}

/// A piece between two marks: whose it is, and where it lies in its owner's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub source: Source,
    /// Counts the texts, so that pieces of one text are known.
    pub number: usize,
    /// The whole text.
    pub text: &'a str,
    pub range: Range<usize>,
}

/// A text whose marks were taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmarked {
    pub text: String,
    /// Where marked pieces lie in `text`, ascending, with the index of the piece.
    pub parts: Vec<(Range<usize>, usize)>,
}

/// The marks of one rendering.
#[derive(Clone, Debug)]
pub(crate) struct Marks<'n, 'a> {
    nonce: &'n Nonce,
    texts: usize,
    pub pieces: Vec<Piece<'a>>,
}

impl<'n, 'a> Marks<'n, 'a> {
    pub fn new(nonce: &'n Nonce) -> Self {
        Self { nonce, texts: 0, pieces: Vec::new() }
    }

    /// `text` with marks around each of `ranges` (ascending and apart).
    pub fn wrap(&mut self, source: Source, text: &'a str, ranges: &[Range<usize>]) -> String {
        let mut wrapped = String::with_capacity(text.len() + 70 * ranges.len());
        let mut at = 0;
        for range in ranges {
            wrapped.push_str(&text[at..range.start]);
            self.push_mark(&mut wrapped, 2 * self.pieces.len());
            wrapped.push_str(&text[range.clone()]);
            self.push_mark(&mut wrapped, 2 * self.pieces.len() + 1);
            self.pieces.push(Piece { source, number: self.texts, text, range: range.clone() });
            at = range.end;
        }
        wrapped.push_str(&text[at..]);
        self.texts += 1;
        wrapped
    }

    fn push_mark(&self, text: &mut String, mut number: usize) {
        text.push_str(&self.nonce.0);
        for _ in 0..NUMBER_CHARS {
            text.push(number_char((number % CHARS as usize) as u32));
            number /= CHARS as usize;
        }
    }

    /// Takes the marks out of a rendered text. `None` unless they come in pairs, each whole and around one piece:
    /// a template that cuts through a piece cannot be traced by it.
    pub fn remove(&self, marked: &str) -> Option<Unmarked> {
        let mut unmarked = Unmarked { text: String::with_capacity(marked.len()), parts: Vec::new() };
        let mut open: Option<(usize, usize)> = None;
        let mut rest = marked;
        while let Some(at) = rest.find(&self.nonce.0) {
            unmarked.text.push_str(&rest[..at]);
            let (number, after) = read_number(&rest[at + self.nonce.0.len()..])?;
            match open.take() {
                None if number % 2 == 0 => open = Some((number / 2, unmarked.text.len())),
                Some((piece, start)) if number == 2 * piece + 1 => {
                    unmarked.parts.push((start..unmarked.text.len(), piece));
                }
                _ => return None,
            }
            rest = after;
        }
        unmarked.text.push_str(rest);
        (open.is_none() && unmarked.parts.iter().all(|(_, piece)| *piece < self.pieces.len()))
            .then_some(unmarked)
    }
}

/// A mark's number and the text after it.
fn read_number(text: &str) -> Option<(usize, &str)> {
    let (mut number, mut weight) = (0usize, 1usize);
    let mut chars = text.chars();
    for _ in 0..NUMBER_CHARS {
        let digit = u32::from(chars.next()?).checked_sub(FIRST_CHAR).filter(|digit| *digit < CHARS)?;
        number += digit as usize * weight;
        weight *= CHARS as usize;
    }
    Some((number, chars.as_str()))
}
