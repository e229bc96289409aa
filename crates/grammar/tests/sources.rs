//! What each kind of source lets an answer be.

mod support;

use attentionstore_grammar::{Grammar, GrammarError, Source};
use serde_json::{Value, json};
use support::{END, OTHER_END, compile, is_json, mask, random_answer, takes};

fn schema(schema: Value) -> Source {
    Source::JsonSchema(schema.to_string())
}

/// Random answers that end, and that `is_valid` says are right.
fn check_answers(grammar: &Grammar, is_valid: impl Fn(&str) -> bool) {
    let mut ended = 0;
    for seed in 0..60 {
        if let Some(answer) = random_answer(grammar, seed, 400) {
            let text = String::from_utf8(answer).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(is_valid(&text), "seed {seed}: {text}");
            ended += 1;
        }
    }
    assert!(ended > 20, "{ended} answers ended");
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

#[test]
fn a_json_object_is_an_object_and_nothing_else() {
    let grammar = compile(Source::JsonObject).unwrap();
    for text in [r#"{}"#, r#"{"a": [1, {"b": null}], "é": "\u0007\n"}"#, "{ }", "{\n  \"a\": -1.5e3\n}"] {
        assert!(takes(&grammar, text), "{text}");
    }
    for text in ["[]", "1", "", "{", r#"{"a"}"#, r#"{"a": 01}"#, "{} {}"] {
        assert!(!takes(&grammar, text), "{text}");
    }
    check_answers(&grammar, |text| text.starts_with('{') && is_json(text));
}

#[test]
fn white_space_between_json_tokens_has_a_bound() {
    let grammar = compile(Source::JsonObject).unwrap();
    let spaced = |spaces: usize| format!("{{{}}}", " ".repeat(spaces));
    assert!(takes(&grammar, &spaced(64)));
    assert!(!takes(&grammar, &spaced(65)));
}

#[test]
fn answers_to_a_schema_satisfy_it() {
    let grammar = compile(schema(json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 6 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "tags": { "type": "array", "items": { "enum": ["a", "ab", "abc"] }, "minItems": 1, "maxItems": 3 },
            "next": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/node" }] }
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": false,
        "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } }, "additionalProperties": false } }
    })))
    .unwrap();
    check_answers(&grammar, |text| {
        let Some(value) = parsed(text) else { return false };
        let tags = value["tags"].as_array().cloned().unwrap_or_default();
        value["name"].as_str().is_some_and(|name| name.chars().count() <= 6)
            && value["age"].as_u64().is_some_and(|age| age <= 150)
            && (1..=3).contains(&tags.len())
            && tags.iter().all(|tag| ["a", "ab", "abc"].contains(&tag.as_str().unwrap_or("")))
            && value.as_object().is_some_and(|all| {
                all.keys().all(|key| ["name", "age", "tags", "next"].contains(&key.as_str()))
            })
    });
    assert!(takes(&grammar, r#"{"name":"ab","age":150,"tags":["abc"],"next":{"next":{}}}"#));
    assert!(!takes(&grammar, r#"{"name":"ab","age":151,"tags":["abc"]}"#));
}

#[test]
fn a_pattern_is_matched_by_the_whole_answer() {
    let grammar = compile(Source::Regex(r"^(\d{3})-[a-c/]+$".into())).unwrap();
    for (text, is_taken) in
        [("123-a/b", true), ("123-", false), ("12-a", false), ("123-abx", false), ("12٣-a", false)]
    {
        assert_eq!(takes(&grammar, text), is_taken, "{text}");
    }
    check_answers(&grammar, |text| text.as_bytes()[3] == b'-' && text.len() > 4);
}

#[test]
fn a_choice_that_begins_another_one_may_end_or_go_on() {
    let choices = ["ab", "abc", "x\n\"y\"", "é"].map(str::to_owned).to_vec();
    let grammar = compile(Source::Choice(choices.clone())).unwrap();
    for choice in &choices {
        assert!(takes(&grammar, choice), "{choice}");
    }
    for text in ["", "a", "abcd", "x\n"] {
        assert!(!takes(&grammar, text), "{text}");
    }
    check_answers(&grammar, |text| choices.iter().any(|choice| choice == text));
}

#[test]
fn where_an_answer_is_complete_only_end_tokens_may_follow() {
    let grammar = compile(Source::Choice(vec!["abc".into()])).unwrap();
    let mut matcher = grammar.matcher();
    for byte in b"abc" {
        assert!(!mask(&mut matcher).contains(&END));
        matcher.accept(u32::from(*byte)).unwrap();
    }
    assert!(matcher.is_accepting());
    assert_eq!(mask(&mut matcher), [END, OTHER_END]);
}

#[test]
fn all_ids_of_a_text_are_allowed_where_the_text_is() {
    let grammar = compile(Source::Choice(vec!["abx".into()])).unwrap();
    let allowed = mask(&mut grammar.matcher());
    // "a", and the two tokens that are "ab".
    assert_eq!(allowed, [u32::from(b'a'), 267, 269]);
}

#[test]
fn a_lark_grammar_is_taken_with_schemas_and_special_tokens_inside() {
    let lark = "start: <|call|> call | \"none\"\ncall: NAME \":\" args\nNAME: /[a-z]+/\nargs: %json { \"type\": \"integer\" }";
    let grammar = compile(Source::Grammar(lark.into())).unwrap();
    assert!(takes(&grammar, "none"));
    let mut matcher = grammar.matcher();
    assert!(mask(&mut matcher).contains(&support::CALL));
    matcher.accept(support::CALL).unwrap();
    for byte in b"add:42" {
        assert!(mask(&mut matcher).contains(&u32::from(*byte)), "{}", *byte as char);
        matcher.accept(u32::from(*byte)).unwrap();
    }
    assert!(matcher.is_accepting());
    assert!(!takes(&grammar, "<|call|>add:42"), "text is never a special token");
}

#[test]
fn sources_that_say_nothing_or_too_little_are_refused() {
    for source in [
        Source::JsonSchema("{".into()),
        Source::JsonSchema(r#"{"type": "text"}"#.into()),
        Source::JsonSchema("false".into()),
        Source::Regex("(a".into()),
        Source::Choice(Vec::new()),
        Source::Grammar("start: missing".into()),
        Source::Grammar("hello".into()),
        schema(json!({ "$ref": "#" })),
        schema(json!({ "type": "integer", "minimum": 2, "maximum": 1 })),
    ] {
        let error = compile(source.clone()).err().unwrap_or_else(|| panic!("{source:?} is taken"));
        assert!(matches!(error, GrammarError::Invalid { .. }), "{source:?}: {error:?}");
    }
}

#[test]
fn keywords_that_are_not_done_are_named_with_their_place() {
    for (keyword, value) in [
        ("not", json!({ "type": "null" })),
        ("if", json!({})),
        ("uniqueItems", json!(true)),
        ("contains", json!({})),
        ("propertyNames", json!({ "pattern": "a" })),
        ("dependentRequired", json!({ "a": ["b"] })),
        ("unevaluatedProperties", json!(false)),
        ("x-guidance", json!({ "lenient": true })),
    ] {
        let inner = json!({ "type": "object", keyword: value });
        // Also where the draft does not know the keyword.
        let source = schema(json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "properties": { "part": inner }
        }));
        let error = compile(source).err().unwrap_or_else(|| panic!("{keyword} is ignored"));
        let text = error.to_string();
        assert!(text.contains(keyword) && text.contains("#/properties/part"), "{text}");
        assert_eq!(error.code(), "grammar_unsupported");
    }
    assert!(compile(schema(json!({ "type": "array", "uniqueItems": false }))).is_ok());
    // The server's own grammars may use the library's options, and clients' schemas in them may not.
    let calls = |schema: Value| Source::Calls(format!("start: %json {schema}"));
    assert!(
        compile(calls(json!({ "type": "null", "x-guidance": { "whitespace_flexible": false } }))).is_ok()
    );
    let inner = json!({ "type": "array", "items": { "x-guidance": {} } });
    assert!(compile(calls(inner)).err().is_some_and(|error| error.code() == "grammar_unsupported"));
    // Names of properties are no keywords.
    assert!(
        compile(schema(json!({ "type": "object", "properties": { "not": { "type": "null" } } }))).is_ok()
    );
    for format in ["no-such-format", "regex"] {
        let error = compile(schema(json!({ "type": "string", "format": format }))).err();
        assert!(error.is_some_and(|error| error.to_string().contains(format)), "{format} is ignored");
    }
}
