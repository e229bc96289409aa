//! The form of a model's outputs, found from its chat template and its tokens.

use std::collections::BTreeMap;

use crate::families::{self, Family};
use crate::opening::{Opening, Reasoning};
use crate::symbol::Marker;

/// How one model writes calls and reasoning. Immutable, shared by all of the model's answers.
#[derive(Clone, Debug)]
pub struct Format {
    pub(crate) family: Family,
    pub(crate) openings: Vec<Opening>,
    pub(crate) reasoning: Option<Reasoning>,
    /// Tokens that end a message inside of an answer, and are no text of it.
    pub(crate) ends: Vec<Marker>,
    /// Strings that are tokens, for markers that a grammar names.
    pub(crate) known: Vec<(String, u32)>,
    tokens: BTreeMap<u32, String>,
}

impl Format {
    /// `template` is the source of the chat template, empty where there is none. `token_id` finds a special or otherwise
    /// added token by its text; ordinary pieces of the vocabulary are not asked for.
    pub fn detect(template: &str, token_id: impl Fn(&str) -> Option<u32>) -> Format {
        let known: Vec<(String, u32)> =
            families::TOKENS.iter().filter_map(|text| Some(((*text).to_owned(), token_id(text)?))).collect();
        let family = Family::detect(template, &known);
        let (openings, ends) = family.openings(&known);
        let reasoning = families::reasoning(family, template, &known);
        let ids = family.token_ids(&known, reasoning.as_ref());
        let tokens =
            known.iter().filter(|(_, id)| ids.contains(id)).map(|(text, id)| (*id, text.clone())).collect();
        Self { family, openings, reasoning, ends, known, tokens }
    }

    /// Stable, for `EngineInfo.outputFormat`.
    pub fn name(&self) -> &'static str {
        self.family.name()
    }

    /// The template knows nothing of tools that this crate can read: instructions, calls and results are put into
    /// messages as [`crate::generic`] writes them, and the template gets no tools.
    pub fn is_generic(&self) -> bool {
        self.family == Family::Generic
    }

    /// Whether answers may hold reasoning.
    pub fn reasons(&self) -> bool {
        self.reasoning.is_some()
    }

    /// The tokens that [`crate::Parser`] takes as [`crate::Piece::Token`], and their texts.
    pub fn tokens(&self) -> &BTreeMap<u32, String> {
        &self.tokens
    }

    /// The tokens that begin and end reasoning, where it is a single token that does.
    pub fn reasoning_tokens(&self) -> Option<(u32, u32)> {
        let single =
            |marker: &Marker| (marker.elements().len() == 1).then(|| marker.token_ids().next()).flatten();
        let reasoning = self.reasoning.as_ref()?;
        Some((single(&reasoning.open)?, reasoning.closes.iter().find_map(single)?))
    }

    /// Tokens that end an answer of this format whatever the model's configuration lists.
    pub fn end_tokens(&self) -> Vec<u32> {
        let harmony = self.family == Family::Harmony;
        let texts: &[&str] = if harmony { &["<|return|>", "<|call|>"] } else { &[] };
        texts.iter().flat_map(|text| self.marker(text).token_ids().collect::<Vec<_>>()).collect()
    }

    /// Whether a token ends a message inside of an answer, so that the answer goes on behind it.
    pub fn goes_on_after(&self, token: u32) -> bool {
        let mut ends = self.ends.iter().flat_map(Marker::token_ids);
        ends.any(|end| end == token) && !self.end_tokens().contains(&token)
    }

    /// Whether a prompt that ends like this has opened the reasoning. `prompt_end` is what the template writes after the
    /// last message; white space at its end counts for nothing.
    pub fn starts_in_reasoning(&self, prompt_end: &str) -> bool {
        let prompt_end = prompt_end.trim_end();
        self.reasoning.as_ref().is_some_and(|reasoning| prompt_end.ends_with(&reasoning.open.text()))
    }

    pub(crate) fn marker(&self, text: &str) -> Marker {
        Marker::new(text, &self.known)
    }
}
