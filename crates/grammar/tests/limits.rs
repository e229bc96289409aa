//! Sources that ask for much: each is refused with the limit that it is over, or is bounded.

mod support;

use std::time::Instant;

use attentionstore_grammar::{Grammar, GrammarError, SOURCE_BYTES, STACK_BYTES, Source};
use serde_json::{Value, json};
use support::{Random, compiler};

fn schema(schema: Value) -> Source {
    Source::JsonSchema(schema.to_string())
}

fn refused(source: Source) -> GrammarError {
    compiler().compile(&source).err().unwrap_or_else(|| panic!("{} bytes of a {} are taken", source.bytes(), source.kind()))
}

/// Runs `work` with the stack that compiling may need.
fn with_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Compiles, then makes masks along random answers; what is too much may be refused, and takes nothing else along.
fn endures(name: &str, source: Source) {
    let began = Instant::now();
    let compiled = compiler().compile(&source);
    let took = began.elapsed();
    match compiled {
        Err(error) => println!("{name}: {took:?}: {error}"),
        Ok(grammar) => {
            let (longest, end) = longest_mask(&grammar);
            println!("{name}: {took:?}, a mask {longest:?}, {} bytes, {end}", grammar.bytes());
            assert!(grammar.bytes() < 256 << 20, "{name}: {} bytes", grammar.bytes());
        }
    }
}

fn longest_mask(grammar: &Grammar) -> (std::time::Duration, String) {
    let mut longest = std::time::Duration::ZERO;
    let mut end = "went on".to_owned();
    for seed in 0..3 {
        let mut random = Random(seed);
        let mut matcher = grammar.matcher();
        for _ in 0..60 {
            let mut words = vec![0u32; 300usize.div_ceil(32)];
            let began = Instant::now();
            let filled = matcher.fill(&mut words);
            longest = longest.max(began.elapsed());
            if let Err(error) = filled {
                end = error.to_string();
                break;
            }
            let allowed: Vec<u32> = (0..300).filter(|token| words[*token as usize / 32] >> (token % 32) & 1 == 1).collect();
            let Some(&token) = allowed.get(random.below(allowed.len().max(1))) else { break };
            if token == support::END || token == support::OTHER_END || matcher.accept(token).is_err() {
                break;
            }
        }
    }
    (longest, end)
}

#[test]
fn what_is_over_a_limit_is_refused_with_the_limit() {
    let deep = (0..200).fold(json!({ "type": "string" }), |inner, _| json!({ "type": "array", "items": inner }));
    let wide: Vec<Value> = (0..9000).map(|value| json!(value)).collect();
    let many: serde_json::Map<String, Value> = (0..9000).map(|at| (format!("p{at}"), json!({}))).collect();
    for (source, part) in [
        (Source::JsonSchema(format!("\"{}\"", "x".repeat(SOURCE_BYTES))), "bytes; the limit is 262144"),
        (schema(json!({ "type": "array", "maxItems": 1e9 })), "1000000000.0 as a number of items"),
        (schema(json!({ "type": "array", "minItems": 5000 })), "the limit is 4096"),
        (schema(json!({ "type": "string", "minLength": 100_000 })), "the limit is 65536"),
        (schema(json!({ "enum": wide })), "9000 values in enum; the limit is 8192"),
        (schema(json!({ "type": "object", "properties": many })), "schemas inside it; the limit is 8192"),
        (schema(json!({ "properties": { "a": { "pattern": "((a{100}){100}){100}" } } })), "1000000 characters; the limit is"),
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
    let alternatives: Vec<Value> =
        (0..60).map(|at| json!({ "type": "object", "properties": { format!("k{at}"): { "type": "string" } } })).collect();
    let all: Vec<Value> = (0..12).map(|_| json!({ "anyOf": alternatives[..8].to_vec() })).collect();
    let words: Vec<Value> = (0..4000).map(|at| json!(format!("{at:x}-{}", at * 7919 % 4001))).collect();
    let optional: serde_json::Map<String, Value> =
        (0..400).map(|at| (format!("property{at}"), json!({ "type": "string", "maxLength": 50 }))).collect();
    let chain: serde_json::Map<String, Value> =
        (0..4000).map(|at| (format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", at + 1) }))).chain([("d4000".to_owned(), json!({ "type": "null" }))]).collect();
    let chained: serde_json::Map<String, Value> = (0..4000)
        .map(|at| (format!("d{at}"), json!({ "type": "array", "items": { "$ref": format!("#/$defs/d{}", at + 1) } })))
        .chain([("d4000".to_owned(), json!({ "type": "null" }))])
        .collect();
    let sources = vec![
        ("a chain of references", schema(json!({ "$defs": chain, "$ref": "#/$defs/d0" }))),
        ("a chain of arrays", schema(json!({ "$defs": chained, "$ref": "#/$defs/d0" }))),
        ("itself", schema(json!({ "$ref": "#" }))),
        ("a circle", schema(json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }))),
        ("a tree", schema(json!({ "$defs": { "n": { "type": "object", "properties": { "l": { "$ref": "#/$defs/n" }, "r": { "$ref": "#/$defs/n" } } } }, "$ref": "#/$defs/n" }))),
        ("all of any", schema(json!({ "allOf": all }))),
        ("words", schema(json!({ "enum": words }))),
        ("optional properties", schema(json!({ "type": "object", "properties": optional }))),
        ("items in items", schema(json!({ "type": "array", "minItems": 4000, "items": { "type": "array", "minItems": 4000, "items": { "type": "array", "maxItems": 4000 } } }))),
        ("a long string", schema(json!({ "type": "string", "minLength": 60_000, "maxLength": 65_536 }))),
        ("long patterns", schema(json!({ "type": "string", "pattern": "^(a|b|ab|ba){1000}(x[0-9]{3}|y){1000}$" }))),
        ("a range", schema(json!({ "type": "integer", "minimum": -9_007_199_254_740_991i64, "maximum": 9_007_199_254_740_990i64, "multipleOf": 7919 }))),
        ("exponents", Source::Regex("(a|aa)+b|(a|b)*a(a|b){18}".into())),
        ("more exponents", Source::Regex("((.*a.*b.*c.*d)|(.*b.*a.*d.*c)){1,8}".into())),
        ("and", Source::Grammar("start: A\nA: /(.*a.{12}){3}/ & /(.*b.{13}){3}/ & /(.*c.{11}){2}/".into())),
        ("ambiguous", Source::Grammar("start: a\na: a a | a a a | \"a\" | \"\"".into())),
        ("hidden recursion", Source::Grammar("start: b start | \"a\"\nb: \"\" | b b".into())),
        ("lists of lists", Source::Grammar("start: a{4000}\na: b{4000}\nb: c{4000}\nc: \"x\"".into())),
        ("groups in lark", Source::Grammar(format!("start: {}\"a\"{}", "(".repeat(20_000), ")".repeat(20_000)))),
        ("groups in a pattern", Source::Regex(format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000)))),
        ("many rules", Source::Grammar((0..2000).map(|at| format!("r{at}: r{} | \"x{at}\"\n", at + 1)).collect::<String>() + "r2000: \"end\"\nstart: r0")),
        ("many terminals", Source::Grammar((0..2000).map(|at| format!("T{at}: T{} | \"x{at}\"\n", at + 1)).collect::<String>() + "T2000: \"end\"\nstart: T0")),
        ("nested groups in gbnf", Source::Grammar((0..1900).map(|at| format!("r{at} ::= (\"a\" r{} | \"b\")\n", at + 1)).collect::<String>() + "r1900 ::= \"x\"\nroot ::= r0")),
        ("gbnf of powers", Source::Grammar((0..40).map(|at| format!("r{at} ::= r{n} r{n}\n", n = at + 1)).collect::<String>() + "r40 ::= \"x\"\nroot ::= r0")),
    ];
    with_stack(move || sources.into_iter().for_each(|(name, source)| endures(name, source)));
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
    assert!(!grammar.is_spent());
}
