//! Compiled grammars that are kept, the least recently used given up first.

use std::collections::HashMap;
use std::sync::Arc;

use crate::grammar::Grammar;
use crate::source::Source;

pub struct Cache {
    most: usize,
    most_bytes: usize,
    entries: HashMap<Source, Entry>,
    clock: u64,
}

struct Entry {
    grammar: Arc<Grammar>,
    used: u64,
}

impl Cache {
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, entries: HashMap::new(), clock: 0 }
    }

    pub fn get(&mut self, source: &Source) -> Option<Arc<Grammar>> {
        self.clock += 1;
        let entry = self.entries.get_mut(source)?;
        entry.used = self.clock;
        Some(entry.grammar.clone())
    }

    pub fn put(&mut self, source: Source, grammar: Arc<Grammar>) {
        self.clock += 1;
        self.entries.insert(source, Entry { grammar, used: self.clock });
        self.shrink();
    }

    fn shrink(&mut self) {
        let mut bytes = self.bytes();
        while self.entries.len() > 1 && (self.entries.len() > self.most || bytes > self.most_bytes) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(source) = oldest.map(|(source, _)| source.clone()) else { return };
            bytes -= self.entries.remove(&source).map_or(0, |entry| entry.grammar.bytes()).min(bytes);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.grammar.bytes()).sum()
    }
}
