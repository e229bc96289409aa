//! The shape of the grammars for calls.

mod support;

use attentionstore_output::{Choice, Tool};
use serde_json::json;
use support::*;

fn lines(model: Model, choice: &Choice, parallel: bool) -> Vec<String> {
    let grammar = model.format().grammar(&tools(), choice, parallel).expect("a grammar");
    grammar.lines().map(str::to_owned).collect()
}

fn rule(lines: &[String], name: &str) -> String {
    let begin = format!("{name}: ");
    let found = lines.iter().find_map(|line| line.strip_prefix(&begin));
    found.unwrap_or_else(|| panic!("no rule {name} in {lines:#?}")).to_owned()
}

#[test]
fn nothing_is_held_to_where_no_call_is_forced_and_no_tool_is_strict() {
    let format = QWEN3.format();
    assert_eq!(format.grammar(&tools(), &Choice::None, true), None);
    assert_eq!(format.grammar(&tools()[1..], &Choice::Auto, true), None);
    assert_eq!(format.grammar(&[], &Choice::Required, true), None);
    assert!(format.grammar(&tools(), &Choice::Auto, true).is_some());
}

#[test]
fn a_forced_call_begins_with_the_marker_or_with_reasoning() {
    let lines = lines(QWEN3, &Choice::Required, true);
    assert!(lines[0].starts_with("start: "));
    assert_eq!(rule(&lines, "start"), "reasoning? <[1001]> tail (\"\\n\" <[1001]> tail)*");
    assert_eq!(rule(&lines, "reasoning"), "<[1003]> TEXT <[1004]> /\\n*/");
    assert_eq!(rule(&lines, "tail"), "\"\\n\" call \"\\n\" <[1002]>");
    assert_eq!(rule(&lines, "call"), "call_0 | call_1 | call_2");
    assert_eq!(
        rule(&lines, "call_0"),
        "\"{\\\"name\\\": \\\"get_weather\\\", \\\"arguments\\\": \" call_0_arguments \"}\""
    );
    assert!(rule(&lines, "call_0_arguments").starts_with("%json {\"type\":\"object\""));
}

#[test]
fn without_parallel_calls_there_is_one() {
    let lines = lines(QWEN25, &Choice::Required, false);
    assert_eq!(rule(&lines, "start"), "<[1001]> tail");
}

#[test]
fn a_named_tool_is_the_only_one() {
    let lines = lines(QWEN25, &Choice::Named("now".into()), true);
    assert_eq!(rule(&lines, "call"), "call_0");
    assert!(rule(&lines, "call_0").contains("now"));
    assert_eq!(QWEN25.format().grammar(&tools(), &Choice::Named("other".into()), true), None);
}

#[test]
fn with_auto_text_is_free_until_a_call_begins() {
    assert_eq!(rule(&lines(QWEN25, &Choice::Auto, true), "start"), "(TEXT <[1001]> tail)* TEXT");
    let text = lines(HERMES2, &Choice::Auto, true);
    assert_eq!(rule(&text, "start"), "(next tail)* TEXT");
    assert_eq!(rule(&text, "next[lazy]"), "TEXT \"<tool_call>\"");
    // Of the others any object is right.
    assert!(
        rule(&text, "call_1_arguments").starts_with("%json {\"type\":\"object\",\"x-guidance\""),
        "{text:#?}"
    );
    assert!(rule(&text, "call_0_arguments").contains("celsius"));
}

#[test]
fn elements_hold_each_argument_to_its_schema() {
    let lines = lines(QWEN3_CODER, &Choice::Required, true);
    let call =
        "\"<function=get_weather>\\n\" call_0_0 call_0_1? call_0_2? call_0_3? call_0_4? \"</function>\"";
    assert_eq!(rule(&lines, "call_0"), call);
    assert_eq!(rule(&lines, "call_0_0"), "\"<parameter=city>\\n\" call_0_0_value \"\\n\"");
    assert_eq!(rule(&lines, "call_0_0_value[lazy]"), "TEXT \"</parameter>\"");
    assert!(rule(&lines, "call_0_1_value").starts_with("%json {\"type\":\"integer\""));
    assert!(rule(&lines, "call_0_2").contains("(\"celsius\" | \"kelvin\")"));
}

#[test]
fn every_family_has_a_grammar_for_every_choice() {
    for model in ALL {
        for choice in [Choice::Auto, Choice::Required, Choice::Named("get_weather".into())] {
            for parallel in [false, true] {
                let lines = lines(*model, &choice, parallel);
                let names: Vec<&str> =
                    lines.iter().map(|line| line.split([':', '[']).next().unwrap_or("")).collect();
                for name in ["start", "call", "tail", "call_0"] {
                    assert!(names.contains(&name), "{}: no {name} in {lines:#?}", model.name);
                }
                let mut once = names.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), names.len(), "{}: a rule stands twice: {names:?}", model.name);
            }
        }
    }
}

#[test]
fn keywords_that_no_grammar_does_go_where_the_tool_is_not_strict() {
    let schema = json!({
        "type": "object",
        "properties": { "not": { "type": "array", "uniqueItems": true, "items": { "not": { "const": 1 } } } },
        "propertyNames": { "pattern": "a" },
        "x-guidance": { "lenient": false }
    });
    let tool =
        |strict| Tool { name: "f".into(), description: None, parameters: Some(schema.clone()), strict };
    let held = |strict: bool| {
        let grammar = QWEN25.format().grammar(&[tool(strict)], &Choice::Required, false).expect("a grammar");
        let lines: Vec<String> = grammar.lines().map(str::to_owned).collect();
        rule(&lines, "call_0_arguments").replace("%json ", "")
    };
    let loose: serde_json::Value = serde_json::from_str(&held(false)).unwrap();
    assert_eq!(loose["properties"], json!({ "not": { "type": "array", "items": {} } }));
    assert_eq!((&loose["propertyNames"], &loose["x-guidance"]["lenient"]), (&json!(null), &json!(true)));
    let strict: serde_json::Value = serde_json::from_str(&held(true)).unwrap();
    assert_eq!(strict["propertyNames"], json!({ "pattern": "a" }));
    assert_eq!(strict["x-guidance"]["lenient"], json!(false), "the client's own options do not count");
}
