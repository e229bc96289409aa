//! An output as a sequence of symbols: characters, and tokens that stand for themselves.

use std::collections::VecDeque;

/// A piece of an output, as it was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Ordinary text, cut anywhere between two characters.
    Text(&'a str),
    /// A token of [`crate::Format::tokens`], and its text in the vocabulary.
    Token { id: u32, text: &'a str },
}

/// The smallest piece: it is taken or left as a whole, so that the cut of an output into pieces makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    Char(char),
    Token { id: u32, text: String },
}

impl Symbol {
    pub fn is_newline(&self) -> bool {
        *self == Symbol::Char('\n')
    }

    pub fn is_space(&self) -> bool {
        matches!(self, Symbol::Char(' ' | '\t' | '\n' | '\r'))
    }

    pub fn char(&self) -> Option<char> {
        match self {
            Symbol::Char(character) => Some(*character),
            Symbol::Token { .. } => None,
        }
    }

    pub fn write(&self, text: &mut String) {
        match self {
            Symbol::Char(character) => text.push(*character),
            Symbol::Token { text: own, .. } => text.push_str(own),
        }
    }
}

/// Appends the symbols of `piece`.
pub(crate) fn append(piece: Piece<'_>, symbols: &mut VecDeque<Symbol>) {
    match piece {
        Piece::Text(text) => symbols.extend(text.chars().map(Symbol::Char)),
        Piece::Token { id, text } => symbols.push_back(Symbol::Token { id, text: text.to_owned() }),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Char(char),
    Token { id: u32, text: String },
}

impl Element {
    pub fn text(&self) -> String {
        match self {
            Element::Char(c) => c.to_string(),
            Element::Token { text, .. } => text.clone(),
        }
    }

    fn matches(&self, symbol: &Symbol) -> bool {
        match (self, symbol) {
            (Element::Char(own), Symbol::Char(other)) => own == other,
            (Element::Token { id, .. }, Symbol::Token { id: other, .. }) => id == other,
            _ => false,
        }
    }
}

/// A marker of a format. Where the vocabulary has tokens for it or for parts of it, only those tokens match: a text
/// that merely quotes the marker does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marker {
    elements: Vec<Element>,
}

impl Marker {
    /// Cuts `text` at the strings of `tokens`, the leftmost first and of those the longest.
    pub fn new(text: &str, tokens: &[(String, u32)]) -> Self {
        let mut elements = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let token = tokens
                .iter()
                .filter(|(name, _)| !name.is_empty() && rest.starts_with(name.as_str()))
                .max_by_key(|(name, _)| name.len());
            if let Some((name, id)) = token {
                elements.push(Element::Token { id: *id, text: name.clone() });
                rest = &rest[name.len()..];
            } else {
                elements.push(Element::Char(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        Self { elements }
    }

    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// It begins with a token: ordinary text cannot hold it.
    pub fn is_token(&self) -> bool {
        matches!(self.elements.first(), Some(Element::Token { .. }))
    }

    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    pub fn text(&self) -> String {
        self.elements.iter().map(Element::text).collect()
    }

    pub fn token_ids(&self) -> impl Iterator<Item = u32> {
        self.elements.iter().filter_map(|element| match element {
            Element::Token { id, .. } => Some(*id),
            Element::Char(_) => None,
        })
    }

    /// `Some(true)`: `symbols` are the marker; `Some(false)`: they are its beginning.
    pub fn compare(&self, symbols: &[Symbol]) -> Option<bool> {
        let begins = symbols.len() <= self.elements.len()
            && self.elements.iter().zip(symbols).all(|(element, symbol)| element.matches(symbol));
        begins.then_some(symbols.len() == self.elements.len())
    }
}
