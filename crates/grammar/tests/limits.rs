//! Sources that ask for much: each is refused with the limit that it is over, or is bounded.

mod demanding;
mod support;

use attentionstore_grammar::{Grammar, GrammarError, SOURCE_BYTES, STACK_BYTES, Source};
use serde_json::{Value, json};
use support::{Random, compiler};

fn schema(schema: Value) -> Source {
    Source::JsonSchema(schema.to_string())
}

fn refused(source: Source) -> GrammarError {
    compiler()
        .compile(&source)
        .err()
        .unwrap_or_else(|| panic!("{} bytes of a {} are taken", source.bytes(), source.kind()))
}

/// Runs `work` with the stack that compiling may need.
fn with_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Compiles, then makes masks along random answers; what is too much may be refused, and takes nothing else along.
fn endures(name: &str, source: Source) {
    let grammar = match compiler().compile(&source) {
        Ok(grammar) => grammar,
        Err(error) => return println!("{name}: {error}"),
    };
    let ends: Vec<String> = (0..3).map(|seed| walk(&grammar, seed)).collect();
    println!("{name}: {} bytes, {ends:?}", grammar.bytes());
    assert!(grammar.bytes() < 256 << 20, "{name}: {} bytes", grammar.bytes());
}

/// How a random answer of 60 tokens at most ends.
fn walk(grammar: &Grammar, seed: u64) -> String {
    let mut random = Random(seed);
    let mut matcher = grammar.matcher();
    for _ in 0..60 {
        let mut words = vec![0u32; 300usize.div_ceil(32)];
        if let Err(error) = matcher.fill(&mut words) {
            return error.to_string();
        }
        let allowed: Vec<u32> =
            (0..300).filter(|token| words[*token as usize / 32] >> (token % 32) & 1 == 1).collect();
        let Some(&token) = allowed.get(random.below(allowed.len().max(1))) else {
            return "no token may come".to_owned();
        };
        if token == support::END || token == support::OTHER_END {
            return "complete".to_owned();
        }
        if let Err(error) = matcher.accept(token) {
            return error.to_string();
        }
    }
    "goes on".to_owned()
}

#[test]
fn what_is_over_a_limit_is_refused_with_the_limit() {
    let deep =
        (0..200).fold(json!({ "type": "string" }), |inner, _| json!({ "type": "array", "items": inner }));
    let wide: Vec<Value> = (0..9000).map(|value| json!(value)).collect();
    let many: serde_json::Map<String, Value> = (0..9000).map(|at| (format!("p{at}"), json!({}))).collect();
    for (source, part) in [
        (Source::JsonSchema(format!("\"{}\"", "x".repeat(SOURCE_BYTES))), "bytes; the limit is 262144"),
        (schema(json!({ "type": "array", "maxItems": 1e9 })), "1000000000.0 as a number of items"),
        (schema(json!({ "type": "array", "minItems": 5000 })), "the limit is 4096"),
        (schema(json!({ "type": "string", "minLength": 100_000 })), "the limit is 65536"),
        (schema(json!({ "enum": wide })), "9000 values in enum; the limit is 8192"),
        (schema(json!({ "type": "object", "properties": many })), "schemas inside it; the limit is 8192"),
        (
            schema(json!({ "properties": { "a": { "pattern": "((a{100}){100}){100}" } } })),
            "1000000 characters; the limit is",
        ),
        (Source::Regex("(a{4000}){4000}".into()), "the limit is 65536"),
        (Source::Regex("a{99999999}".into()), "the limit is 65536"),
        (Source::Choice(vec!["a".into(); 5000]), "5000 choices; the limit is 4096"),
        (Source::Grammar("start: %llguidance { }".into()), "%llguidance at line 1"),
        (Source::Grammar("a: b\n".repeat(3000)), "3000 rules; the limit is 2048"),
        (Source::Grammar(r#"start: %json { "not": {} }"#.into()), "uses not at #"),
        (Source::Grammar(format!("root ::= {}\"a\"{}", "(".repeat(100), ")".repeat(100))), "the limit is 64"),
        (schema(json!({ "$ref": "https://example.com/schema" })), "$ref to another document"),
    ] {
        let error = refused(source).to_string();
        assert!(error.contains(part), "{error} | {part}");
    }
    // The reader of JSON has a bound of its own.
    refused(schema(deep));
}

#[test]
fn sources_that_ask_for_much_end_no_process_and_take_bounded_memory() {
    with_stack(|| demanding::sources().into_iter().for_each(|(name, source)| endures(name, source)));
}

#[test]
fn a_source_is_compiled_once_and_the_least_recently_used_one_goes_first() {
    let compiler = compiler();
    let source = |at: usize| Source::Choice(vec![format!("choice {at}")]);
    let first = compiler.compile(&source(0)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &compiler.compile(&source(0)).unwrap()));
    for at in 1..64 {
        compiler.compile(&source(at)).unwrap();
        compiler.compile(&source(0)).unwrap();
    }
    assert_eq!((compiler.counts().compiled, compiler.counts().cached, compiler.counts().kept), (64, 64, 64));
    compiler.compile(&source(64)).unwrap();
    assert_eq!(compiler.counts().kept, 64);
    compiler.compile(&source(0)).unwrap();
    assert_eq!(compiler.counts().compiled, 65, "what was just used is kept");
    compiler.compile(&source(1)).unwrap();
    assert_eq!(compiler.counts().compiled, 66, "the oldest one was given up");
    compiler.compile(&Source::Regex("(".into())).err().unwrap();
    assert_eq!(compiler.counts().refused, 1);
}

#[test]
fn a_matcher_that_is_cancelled_says_so_and_its_grammar_goes_on() {
    let grammar = compiler().compile(&Source::JsonObject).unwrap();
    let (mut given_up, mut other) = (grammar.matcher(), grammar.matcher());
    given_up.cancel().cancel();
    let mut words = vec![0u32; 10];
    assert_eq!(given_up.fill(&mut words), Err(attentionstore_grammar::MatcherError::Cancelled));
    assert_eq!(other.fill(&mut words), Ok(()));
}
