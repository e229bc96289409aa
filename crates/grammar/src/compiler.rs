//! From a source to a grammar, for one vocabulary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::{ParserFactory, regex_to_lark};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::error::{GrammarError, detail_of};
use crate::gbnf;
use crate::grammar::Grammar;
use crate::limits::Limits;
use crate::schema;
use crate::source::Source;
use crate::vocabulary::Vocabulary;

/// White space between two tokens of JSON: without a bound an answer could consist of it.
const WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,64}";

/// `\d`, `\w` and `\s` are of ASCII, as in JSON Schema: few who write them mean the digits of all scripts.
const ASCII_CLASSES: &str = "dws";

/// What a compiler has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub compiled: u64,
    /// Sources that had been compiled before.
    pub cached: u64,
    pub refused: u64,
    /// Grammars that are kept, and their bytes, estimated.
    pub kept: usize,
    pub kept_bytes: usize,
}

/// Compiles sources for a vocabulary. Any thread may ask; compiling takes milliseconds, up to some hundreds.
pub struct Compiler {
    factory: ParserFactory,
    vocabulary: usize,
    cache: Mutex<Cache>,
    compiled: AtomicU64,
    cached: AtomicU64,
    refused: AtomicU64,
}

impl Compiler {
    /// # Errors
    /// A vocabulary from which no masks can be made.
    pub fn new(vocabulary: &Vocabulary, limits: &Limits) -> Result<Self, GrammarError> {
        let invalid = |detail: String| GrammarError::Invalid { kind: "vocabulary", detail };
        let made = catch_unwind(AssertUnwindSafe(|| ParserFactory::new_simple(&vocabulary.environment())));
        let mut factory = made
            .map_err(|_| invalid("its tokens make no tree".to_owned()))?
            .map_err(|error| invalid(detail_of(&error.to_string())))?;
        *factory.limits_mut() = limits.parser.clone();
        factory.quiet();
        Ok(Self {
            factory,
            vocabulary: vocabulary.size(),
            cache: Mutex::new(Cache::new(limits.cached, limits.cached_bytes)),
            compiled: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Tokens of the masks that its grammars give.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// On a thread with [`crate::STACK_BYTES`] of stack: the library recurses along rules.
    ///
    /// # Errors
    /// A source that is too large, not well formed, not satisfiable, or uses what is not done.
    pub fn compile(&self, source: &Source) -> Result<Arc<Grammar>, GrammarError> {
        if let Some(grammar) = self.cache().get(source) {
            self.cached.fetch_add(1, Relaxed);
            return Ok(grammar);
        }
        let made = self.make(source);
        let counter = if made.is_ok() { &self.compiled } else { &self.refused };
        counter.fetch_add(1, Relaxed);
        let grammar = Arc::new(made?);
        self.cache().put(source.clone(), grammar.clone());
        Ok(grammar)
    }

    pub fn counts(&self) -> Counts {
        let cache = self.cache();
        Counts {
            compiled: self.compiled.load(Relaxed),
            cached: self.cached.load(Relaxed),
            refused: self.refused.load(Relaxed),
            kept: cache.len(),
            kept_bytes: cache.bytes(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, source: &Source) -> Result<Grammar, GrammarError> {
        source.check_size()?;
        let grammar = translate(source)?;
        let parser =
            self.factory.create_parser(grammar).map_err(|error| refusal(source, &error.to_string()))?;
        let grammar = Grammar::new(parser, source.bytes());
        self.check_beginning(source, &grammar)?;
        Ok(grammar)
    }

    /// A grammar that no answer satisfies shows it in its first mask, mostly.
    fn check_beginning(&self, source: &Source, grammar: &Grammar) -> Result<(), GrammarError> {
        let mut mask = vec![0; self.vocabulary.div_ceil(32)];
        match grammar.matcher().fill(&mut mask) {
            Ok(()) if mask.iter().all(|word| *word == 0) => {
                Err(GrammarError::invalid(source.kind(), "no answer of this model's tokens satisfies it"))
            }
            Ok(()) => Ok(()),
            Err(error) => Err(GrammarError::TooComplex { kind: source.kind(), detail: error.to_string() }),
        }
    }
}

/// What the library says about a source that it does not take.
fn refusal(source: &Source, message: &str) -> GrammarError {
    let (kind, detail) = (source.kind(), detail_of(message));
    let is_bound = ["too many", "too big", "too large", "fuel", "limit", "too complex"];
    if is_bound.iter().any(|words| detail.contains(words)) {
        return GrammarError::TooComplex { kind, detail };
    }
    GrammarError::Invalid { kind, detail }
}

fn translate(source: &Source) -> Result<TopLevelGrammar, GrammarError> {
    Ok(match source {
        Source::JsonObject => TopLevelGrammar::from_json_schema(bounded(json!({ "type": "object" }))),
        Source::JsonSchema(text) => TopLevelGrammar::from_json_schema(bounded(schema::parse(source, text)?)),
        Source::Regex(pattern) => {
            schema::check_pattern(source, pattern, "the pattern")?;
            TopLevelGrammar::from_lark(format!(
                "start: /{}/",
                regex_to_lark(unanchored(pattern), ASCII_CLASSES)
            ))
        }
        Source::Choice(choices) => TopLevelGrammar::from_lark(choice(choices)),
        Source::Grammar(text) if gbnf::is_gbnf(text) => {
            TopLevelGrammar::from_lark(gbnf::to_lark(source, text)?)
        }
        Source::Grammar(text) | Source::Calls(text) => {
            schema::check_inside(source, text)?;
            TopLevelGrammar::from_lark(text.clone())
        }
    })
}

/// A schema whose white space has a bound.
fn bounded(schema: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            fields.insert("x-guidance".to_owned(), json!({ "whitespace_pattern": WHITESPACE }));
            Value::Object(fields)
        }
        other => json!({ "allOf": [other], "x-guidance": { "whitespace_pattern": WHITESPACE } }),
    }
}

/// The whole answer matches anyway.
fn unanchored(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let escapes = pattern.strip_suffix('$').map(|rest| rest.len() - rest.trim_end_matches('\\').len());
    if escapes.is_some_and(|escapes| escapes % 2 == 0) { &pattern[..pattern.len() - 1] } else { pattern }
}

/// One terminal: a choice that begins another one is allowed to end or to go on.
fn choice(choices: &[String]) -> String {
    let texts: Vec<String> = choices.iter().map(|choice| Value::from(choice.as_str()).to_string()).collect();
    format!("start: CHOICE\nCHOICE: {}", texts.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_at_the_ends_of_a_pattern_are_left_out_and_escaped_ones_stay() {
        assert_eq!(unanchored("^a+$"), "a+");
        assert_eq!(unanchored(r"a\$"), r"a\$");
        assert_eq!(unanchored(r"a\\$"), r"a\\");
    }
}
