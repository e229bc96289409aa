//! What one source may ask for. The figures that bound work are those of llguidance: fuel is spent by lexer states that
//! are derived, items are those of an Earley row.

use llguidance::api::ParserLimits;

/// Text of one source.
pub const SOURCE_BYTES: usize = 256 << 10;
/// Stack that compiling may need: rules may refer to each other in a chain.
pub const STACK_BYTES: usize = 64 << 20;
/// Of a choice.
pub(crate) const MOST_CHOICES: usize = 4096;
/// Schemas inside schemas.
pub(crate) const SCHEMA_DEPTH: usize = 48;
/// Schemas in one schema, all counted.
pub(crate) const SCHEMA_PARTS: usize = 8192;
/// Values of all `enum` together.
pub(crate) const ENUM_VALUES: usize = 8192;
/// `minItems`, `maxItems`, `minProperties`, `maxProperties`.
pub(crate) const MOST_ITEMS: u64 = 4096;
/// `minLength`, `maxLength`.
pub(crate) const MOST_LENGTH: u64 = 65_536;
/// Counts of repetition, in regular expressions and grammars; nested ones multiply.
pub(crate) const MOST_REPEATS: u64 = 4096;
/// Rules of a grammar.
pub(crate) const MOST_RULES: usize = 2048;

/// Bounds of a [`crate::Compiler`], and of what it keeps.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Compiled grammars that are kept.
    pub cached: usize,
    /// Bytes that they take together; estimated.
    pub cached_bytes: usize,
    /// Work and memory of one grammar and one mask.
    pub(crate) parser: ParserLimits,
}

impl Default for Limits {
    fn default() -> Self {
        let parser = ParserLimits {
            // About 20 ms.
            initial_lexer_fuel: 1_000_000,
            // About 14 ms.
            step_lexer_fuel: 200_000,
            step_max_items: 50_000,
            max_items_in_row: 2_000,
            // About 16 MB an answer.
            max_lexer_states: 10_000,
            max_grammar_size: 200_000,
            precompute_large_lexemes: false,
            verbose_errors: false,
        };
        Self { cached: 64, cached_bytes: 128 << 20, parser }
    }
}
