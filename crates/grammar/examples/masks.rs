//! Times masks over a vocabulary: `masks VOCABULARY`, a file with a line a token, in the order of their ids: the token's
//! bytes in hexadecimal, after `!` for special tokens. The last line names the end tokens. Prints JSON: forms that people
//! ask for, and sources that ask for much.

#[path = "../tests/demanding/mod.rs"]
mod demanding;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use attentionstore_grammar::{Compiler, Limits, STACK_BYTES, Source, Vocabulary};
use serde_json::{Value, json};

const ROUNDS: usize = 40;

fn main() {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread");
    thread.join().expect("it was measured");
}

fn run() {
    let path = std::env::args().nth(1).expect("masks VOCABULARY");
    let text = std::fs::read_to_string(path).expect("the vocabulary can be read");
    let (vocabulary, tokens) = read(&text);
    let began = Instant::now();
    let compiler = Compiler::new(&vocabulary, &Limits::default()).expect("it is a vocabulary");
    let made = began.elapsed();
    let cases: Vec<Value> = forms()
        .into_iter()
        .map(|(name, source, answer)| measure(name, &compiler, &source, &encode(&tokens, answer)))
        .collect();
    let demanding: Vec<Value> =
        demanding::sources().iter().map(|(name, source)| endure(name, &compiler, source)).collect();
    let result = json!({
        "vocabulary": vocabulary.size(), "compiler_ms": milliseconds(made), "cases": cases, "demanding": demanding
    });
    println!("{result}");
}

/// Forms that people ask for, each with an answer to walk along.
fn forms() -> Vec<(&'static str, Source, &'static str)> {
    let schema = |schema: Value| Source::JsonSchema(schema.to_string());
    let record = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" }, "age": { "type": "integer", "minimum": 0 }, "email": { "type": "string", "format": "email" },
            "active": { "type": "boolean" }, "notes": { "type": "string", "maxLength": 400 }
        },
        "required": ["name", "age", "email", "active", "notes"], "additionalProperties": false
    });
    let nested = json!({
        "type": "object",
        "properties": {
            "order": { "type": "string" },
            "lines": { "type": "array", "items": { "type": "object", "properties": {
                "product": { "$ref": "#/$defs/product" }, "count": { "type": "integer" } }, "required": ["product", "count"], "additionalProperties": false } }
        },
        "required": ["order", "lines"], "additionalProperties": false,
        "$defs": { "product": { "type": "object", "properties": { "title": { "type": "string" }, "price": { "type": "number" } }, "required": ["title", "price"], "additionalProperties": false } }
    });
    let labels: Vec<String> = (0..200).map(|at| format!("label number {at} of many")).collect();
    vec![
        (
            "record",
            schema(record),
            r#"{"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "active": true, "notes": "She wrote about the engine, and what it might be told to do; nobody before her had thought of music."}"#,
        ),
        (
            "nested",
            schema(nested),
            r#"{"order": "A-1047", "lines": [{"product": {"title": "A table of oak wood", "price": 249.5}, "count": 1}, {"product": {"title": "Four chairs that stack", "price": 39.99}, "count": 4}]}"#,
        ),
        ("enum of 200", schema(json!({ "enum": labels })), r#""label number 173 of many""#),
        (
            "regex",
            Source::Regex(r"\d{4}-(0\d|1[0-2])-[0-3]\d [A-Z][a-z]+( [A-Z][a-z]+){1,3}: .{1,80}".into()),
            "2026-11-29 Grace Brewster Hopper: a moth was found between the points of a relay",
        ),
        (
            "free JSON",
            Source::JsonObject,
            r#"{"title": "On computable numbers", "year": 1936, "tags": ["logic", "machines"], "pages": {"from": 230, "to": 265}, "abstract": "The computable numbers may be described briefly as the real numbers whose expressions as a decimal are calculable by finite means."}"#,
        ),
        (
            "GBNF of llama.cpp's JSON",
            Source::Grammar(include_str!("../tests/json.gbnf").into()),
            r#"{"title": "On computable numbers", "year": 1936, "tags": ["logic", "machines"], "pages": {"from": 230, "to": 265}}"#,
        ),
    ]
}

fn measure(name: &str, compiler: &Compiler, source: &Source, answer: &[u32]) -> Value {
    let began = Instant::now();
    let grammar = compiler.compile(source).unwrap_or_else(|error| panic!("{name}: {error}"));
    let compiled = began.elapsed();
    let mut masks = Vec::new();
    let mut words = vec![0u32; compiler.vocabulary().div_ceil(32)];
    let mut first_round = Duration::ZERO;
    for round in 0..ROUNDS {
        let mut matcher = grammar.matcher();
        for &token in answer {
            words.fill(0);
            let began = Instant::now();
            matcher.fill(&mut words).unwrap_or_else(|error| panic!("{name}: {error}"));
            masks.push(began.elapsed());
            assert!(
                words[token as usize / 32] >> (token % 32) & 1 == 1,
                "{name}: the answer is not of this form"
            );
            matcher.accept(token).expect("it was allowed");
        }
        if round == 0 {
            first_round = masks.iter().copied().max().unwrap_or_default();
        }
        assert!(matcher.is_accepting(), "{name}: the answer is not complete");
    }
    masks.sort_unstable();
    let at = |share: f64| microseconds(masks[(masks.len() as f64 * share) as usize]);
    json!({
        "name": name, "compile_ms": milliseconds(compiled), "masks": masks.len(), "bytes": grammar.bytes(),
        "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "longest_of_first_answer_us": microseconds(first_round)
    })
}

/// Compiles, then follows answers of the lowest or the highest token allowed, 100 tokens each.
fn endure(name: &str, compiler: &Compiler, source: &Source) -> Value {
    let began = Instant::now();
    let compiled = compiler.compile(source);
    let compile_ms = milliseconds(began.elapsed());
    let grammar = match compiled {
        Ok(grammar) => grammar,
        Err(error) => return json!({ "name": name, "compile_ms": compile_ms, "refused": error.to_string() }),
    };
    let mut longest = Duration::ZERO;
    let mut words = vec![0u32; compiler.vocabulary().div_ceil(32)];
    let mut end = None;
    for takes_lowest in [true, false] {
        let mut matcher = grammar.matcher();
        for _ in 0..100 {
            let began = Instant::now();
            words.fill(0);
            let filled = matcher.fill(&mut words);
            longest = longest.max(began.elapsed());
            let mut allowed = (0..compiler.vocabulary() as u32)
                .filter(|token| words[*token as usize / 32] >> (token % 32) & 1 == 1);
            let token = if takes_lowest { allowed.next() } else { allowed.next_back() };
            let accepted = filled.and_then(|()| token.map_or(Ok(()), |token| matcher.accept(token)));
            if let Err(error) = accepted {
                end = Some(error.to_string());
                break;
            }
            if token.is_none() || matcher.is_stopped() {
                break;
            }
        }
    }
    json!({ "name": name, "compile_ms": compile_ms, "longest_mask_ms": milliseconds(longest), "bytes": grammar.bytes(), "ended_by": end })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The vocabulary, and its tokens of text by their bytes.
fn read(text: &str) -> (Vocabulary, HashMap<Vec<u8>, u32>) {
    let mut lines: Vec<&str> = text.lines().collect();
    let ends = lines.pop().expect("a line of end tokens");
    let ends = ends.split_whitespace().map(|id| id.parse().expect("an id")).collect();
    let mut vocabulary = Vocabulary::new(lines.len(), ends);
    let mut tokens = HashMap::new();
    for (id, line) in (0..).zip(lines) {
        match line.strip_prefix('!') {
            Some(name) => vocabulary.special(id, &unhex(name)),
            None => {
                vocabulary.text(id, &unhex(line));
                tokens.insert(unhex(line), id);
            }
        }
    }
    (vocabulary, tokens)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The longest token at each place.
fn encode(tokens: &HashMap<Vec<u8>, u32>, text: &str) -> Vec<u32> {
    let mut rest = text.as_bytes();
    let mut ids = Vec::new();
    while !rest.is_empty() {
        let length = (1..=rest.len().min(24)).rev().find(|length| tokens.contains_key(&rest[..*length]));
        let length = length.expect("every byte has a token");
        ids.push(tokens[&rest[..length]]);
        rest = &rest[length..];
    }
    ids
}
