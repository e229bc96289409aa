//! Sources that ask for much, each within the limits on its text.

use attentionstore_grammar::Source;
use serde_json::{Value, json};

fn schema(schema: Value) -> Source {
    Source::JsonSchema(schema.to_string())
}

/// By what they ask for.
pub fn sources() -> Vec<(&'static str, Source)> {
    let alternatives: Vec<Value> = (0..60)
        .map(|at| json!({ "type": "object", "properties": { format!("k{at}"): { "type": "string" } } }))
        .collect();
    let all: Vec<Value> = (0..12).map(|_| json!({ "anyOf": alternatives[..8].to_vec() })).collect();
    let words: Vec<Value> = (0..4000).map(|at| json!(format!("{at:x}-{}", at * 7919 % 4001))).collect();
    let optional: serde_json::Map<String, Value> =
        (0..400).map(|at| (format!("property{at}"), json!({ "type": "string", "maxLength": 50 }))).collect();
    let chain: serde_json::Map<String, Value> = (0..4000)
        .map(|at| (format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", at + 1) })))
        .chain([("d4000".to_owned(), json!({ "type": "null" }))])
        .collect();
    let chained: serde_json::Map<String, Value> = (0..4000)
        .map(|at| {
            (
                format!("d{at}"),
                json!({ "type": "array", "items": { "$ref": format!("#/$defs/d{}", at + 1) } }),
            )
        })
        .chain([("d4000".to_owned(), json!({ "type": "null" }))])
        .collect();
    vec![
        ("a chain of references", schema(json!({ "$defs": chain, "$ref": "#/$defs/d0" }))),
        ("a chain of arrays", schema(json!({ "$defs": chained, "$ref": "#/$defs/d0" }))),
        ("itself", schema(json!({ "$ref": "#" }))),
        (
            "a circle",
            schema(
                json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
            ),
        ),
        (
            "a tree",
            schema(
                json!({ "$defs": { "n": { "type": "object", "properties": { "l": { "$ref": "#/$defs/n" }, "r": { "$ref": "#/$defs/n" } } } }, "$ref": "#/$defs/n" }),
            ),
        ),
        ("all of any", schema(json!({ "allOf": all }))),
        ("words", schema(json!({ "enum": words }))),
        ("optional properties", schema(json!({ "type": "object", "properties": optional }))),
        (
            "items in items",
            schema(
                json!({ "type": "array", "minItems": 4000, "items": { "type": "array", "minItems": 4000, "items": { "type": "array", "maxItems": 4000 } } }),
            ),
        ),
        ("a long string", schema(json!({ "type": "string", "minLength": 60_000, "maxLength": 65_536 }))),
        (
            "long patterns",
            schema(json!({ "type": "string", "pattern": "^(a|b|ab|ba){1000}(x[0-9]{3}|y){1000}$" })),
        ),
        (
            "a range",
            schema(
                json!({ "type": "integer", "minimum": -9_007_199_254_740_991i64, "maximum": 9_007_199_254_740_990i64, "multipleOf": 7919 }),
            ),
        ),
        ("exponents", Source::Regex("(a|aa)+b|(a|b)*a(a|b){18}".into())),
        ("more exponents", Source::Regex("((.*a.*b.*c.*d)|(.*b.*a.*d.*c)){1,8}".into())),
        ("and", Source::Grammar("start: A\nA: /(.*a.{12}){3}/ & /(.*b.{13}){3}/ & /(.*c.{11}){2}/".into())),
        ("ambiguous", Source::Grammar("start: a\na: a a | a a a | \"a\" | \"\"".into())),
        ("hidden recursion", Source::Grammar("start: b start | \"a\"\nb: \"\" | b b".into())),
        ("lists of lists", Source::Grammar("start: a{4000}\na: b{4000}\nb: c{4000}\nc: \"x\"".into())),
        (
            "groups in lark",
            Source::Grammar(format!("start: {}\"a\"{}", "(".repeat(20_000), ")".repeat(20_000))),
        ),
        ("groups in a pattern", Source::Regex(format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000)))),
        (
            "many rules",
            Source::Grammar(
                (0..2000).map(|at| format!("r{at}: r{} | \"x{at}\"\n", at + 1)).collect::<String>()
                    + "r2000: \"end\"\nstart: r0",
            ),
        ),
        (
            "many terminals",
            Source::Grammar(
                (0..2000).map(|at| format!("T{at}: T{} | \"x{at}\"\n", at + 1)).collect::<String>()
                    + "T2000: \"end\"\nstart: T0",
            ),
        ),
        (
            "nested groups in gbnf",
            Source::Grammar(
                (0..1900).map(|at| format!("r{at} ::= (\"a\" r{} | \"b\")\n", at + 1)).collect::<String>()
                    + "r1900 ::= \"x\"\nroot ::= r0",
            ),
        ),
        (
            "gbnf of powers",
            Source::Grammar(
                (0..40).map(|at| format!("r{at} ::= r{n} r{n}\n", n = at + 1)).collect::<String>()
                    + "r40 ::= \"x\"\nroot ::= r0",
            ),
        ),
    ]
}
