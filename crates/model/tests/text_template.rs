//! Chat templates: what they may use, and what bounds them.

mod text_support;

use attentionstore_model::text::{ChatDate, ChatMessage, ChatRequest, Ending, TextError, TextModel};
use text_support::{family, family_with, message};

fn render_at(model: &TextModel, messages: &[ChatMessage], seconds: i64) -> Result<String, TextError> {
    let date = ChatDate::from_unix_seconds(seconds);
    let prompt =
        model.encode_chat(&ChatRequest { ending: Ending::Closed, ..ChatRequest::new(messages, date) })?;
    Ok(prompt.text)
}

fn render(template: &str) -> Result<String, TextError> {
    render_at(&family_with("gpt2", template), &[message("user", "hi")], 0)
}

#[test]
fn python_methods_and_values_print_as_in_python() {
    let template = "{{ true }}|{{ none }}|{{ 'a,b'.split(',')[1] }}|{{ ' x '.strip() }}|{{ messages[0].get('name') }}|\
                    {{ 'ab'.upper() ~ 1 }}|{{ messages[0].name is defined }}|{{ unknown_thing }}|{{ tools is none }}|\
                    {{ 'abc'[::-1] }}|{{ [1, 2] | length }}|{{ bos_token }}|{{ unk_token is defined }}";
    assert_eq!(render(template).unwrap(), "True|None|b|x|None|AB1|False||True|cba|2|<|endoftext|>|False");
}

#[test]
fn json_is_written_as_the_reference_writes_it() {
    let value = "{'b': [1, 2.5, true, none, {}], 'a': '<é\\n\"&>'}";
    let flat = render(&format!("{{{{ {value} | tojson }}}}")).unwrap();
    assert_eq!(flat, r#"{"b": [1, 2.5, true, null, {}], "a": "<é\n\"&>"}"#);
    let sorted = render(&format!("{{{{ {value} | tojson(sort_keys=true) }}}}")).unwrap();
    assert!(sorted.starts_with(r#"{"a": "<é"#), "{sorted}");
    let indented = render("{{ {'a': [1, 2], 'b': {}} | tojson(indent=2) }}").unwrap();
    assert_eq!(indented, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
    assert!(matches!(render("{{ 'é' | tojson(ensure_ascii=true) }}"), Err(TextError::Failed { .. })));
}

#[test]
fn the_date_is_the_one_that_the_conversation_keeps() {
    let model = family_with("gpt2", "{{ strftime_now('%d %B %Y, %H:%M') }}");
    assert!(model.template.as_ref().unwrap().uses_date());
    assert!(!family("gpt2").template.unwrap().uses_date());
    assert_eq!(render_at(&model, &[], 1_721_997_296).unwrap(), "26 July 2024, 12:34");
    assert_eq!(render_at(&model, &[], 0).unwrap(), "01 January 1970, 00:00");
}

#[test]
fn what_a_template_raises_reaches_the_caller_word_for_word() {
    let refused = render("{{ raise_exception('only ' ~ messages[0].role ~ 's here') }}");
    assert_eq!(refused, Err(TextError::Refused { message: "only users here".to_owned() }));
    let in_macro = render("{% macro m() %}{{ raise_exception('deep') }}{% endmacro %}{{ m() }}");
    assert_eq!(in_macro, Err(TextError::Refused { message: "deep".to_owned() }));
}

#[test]
fn a_model_without_a_usable_template_refuses_chat_and_says_why() {
    let mut model = family("gpt2");
    model.template = None;
    assert_eq!(render_at(&model, &[message("user", "hi")], 0), Err(TextError::NoTemplate));
    let broken = family_with("gpt2", "{% for m in messages %}{{ m.content }");
    assert!(broken.template.is_none());
    let error = render_at(&broken, &[message("user", "hi")], 0).unwrap_err();
    assert!(matches!(&error, TextError::Failed { detail } if detail.contains("chat_template:1")), "{error}");
    let huge = family_with("gpt2", &"x".repeat(2 << 20));
    assert!(matches!(huge.template_error, Some(TextError::Failed { .. })));
}

#[test]
fn a_template_cannot_run_or_write_without_end() {
    let loops =
        "{% for a in range(100000) %}{% for b in range(100000) %}{% set c = 1 %}{% endfor %}{% endfor %}";
    assert!(matches!(render(loops), Err(TextError::OutOfFuel { .. })));
    let recursion = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert!(matches!(render(recursion), Err(TextError::Failed { .. } | TextError::OutOfFuel { .. })));
    assert!(matches!(render("{{ 'x' * 90000000 }}"), Err(TextError::OutOfFuel { .. })));
    let doubling = "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}";
    assert!(matches!(render(doubling), Err(TextError::OutOfFuel { .. })));
    let long =
        render("{% for i in range(3000) %}{{ 'This is a sentence of some forty bytes or so.' }}{% endfor %}");
    assert!(matches!(long, Err(TextError::OutputTooLong { .. })), "{long:?}");
}

#[test]
fn long_conversations_have_fuel_enough() {
    let messages: Vec<ChatMessage> = (0..4000)
        .map(|n| message(["user", "assistant"][n % 2], "A message of ordinary length, as people write them."))
        .collect();
    for name in ["gpt2", "llama3", "qwen2", "mistral"] {
        let text = render_at(&family(name), &messages, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.len() > 4000 * 50);
    }
    let long = [message("user", &"words and words ".repeat(100_000))];
    assert!(render_at(&family("qwen2"), &long, 0).unwrap().len() > 1_600_000);
}

#[test]
fn fingerprints_tell_tokenizers_templates_and_named_tokens_apart() {
    let chatml = family("gpt2");
    assert_eq!(chatml.fingerprint(), family("gpt2").fingerprint());
    let other = family_with("gpt2", "{{ messages[0].content }}");
    assert_eq!(chatml.tokenizer.fingerprint(), other.tokenizer.fingerprint());
    let fingerprints = [
        chatml.fingerprint(),
        other.fingerprint(),
        family("llama3").fingerprint(),
        family("qwen2").fingerprint(),
    ];
    for (index, one) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[index + 1..].contains(one));
    }
}
