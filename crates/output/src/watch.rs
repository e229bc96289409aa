//! Watches running text for markers; holds back what may be the beginning of one, and nothing else.

use crate::symbol::{Marker, Symbol};

/// Newlines before a marker that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newlines {
    None,
    One,
    All,
}

/// A longer run of newlines is text: only its end may belong to a marker.
const MOST_NEWLINES: usize = 64;

impl Newlines {
    fn most(self) -> usize {
        match self {
            Newlines::None => 0,
            Newlines::One => 1,
            Newlines::All => MOST_NEWLINES,
        }
    }
}

/// A marker that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its index among the markers that were looked for.
    pub index: usize,
    /// Its symbols, newlines before it included.
    pub symbols: Vec<Symbol>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    held: Vec<Symbol>,
}

impl Watch {
    /// Takes the next symbol. `released` gets the symbols that are part of no marker. While symbols are held, every
    /// call must come with the same markers.
    pub fn push<'a>(
        &mut self,
        symbol: Symbol,
        markers: impl Iterator<Item = &'a Marker> + Clone,
        newlines: Newlines,
        released: &mut Vec<Symbol>,
    ) -> Option<Found> {
        self.held.push(symbol);
        loop {
            let before = self.held.iter().take(newlines.most()).take_while(|held| held.is_newline()).count();
            let rest = &self.held[before..];
            let mut possible = rest.is_empty() && self.held.len() < MOST_NEWLINES;
            for (index, marker) in markers.clone().enumerate().filter(|_| !rest.is_empty()) {
                match marker.compare(rest) {
                    Some(true) => return Some(Found { index, symbols: std::mem::take(&mut self.held) }),
                    Some(false) => possible = true,
                    None => {}
                }
            }
            if possible || self.held.is_empty() {
                return None;
            }
            released.push(self.held.remove(0));
        }
    }

    /// Takes out what is held: no marker will come of it.
    pub fn take(&mut self) -> Vec<Symbol> {
        std::mem::take(&mut self.held)
    }
}
