//! Tokenizers and chat templates against the reference implementations; `test/fixtures/text/make.py` made the cases.

mod text_support;

use attentionstore_model::text::{ChatDate, ChatRequest, Ending, Specials, TextError, TextModel};
use serde_json::Value;
use text_support::{FAMILIES, default_model, family, fixture, fnv, ids, messages};

fn check_strings(name: &str, model: &TextModel) {
    let cases = fixture(&format!("{name}/strings.json"));
    let tokenizer = &model.tokenizer;
    for case in cases["short"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected = ids(&case["ids"]);
        assert_eq!(
            tokenizer.encode(text, Specials::Parse).unwrap(),
            expected,
            "{name}: {text:?} with special tokens"
        );
        let plain = case.get("plain").map_or_else(|| expected.clone(), ids);
        assert_eq!(tokenizer.encode(text, Specials::Plain).unwrap(), plain, "{name}: {text:?} as plain text");
        let decoded = case["decoded"].as_str().unwrap_or(text);
        assert_eq!(tokenizer.decode(&expected, false).unwrap(), decoded, "{name}: {text:?} decoded");
    }
    for case in cases["long"].as_array().unwrap() {
        let text = case["unit"].as_str().unwrap().repeat(case["times"].as_u64().unwrap() as usize);
        let found = tokenizer.encode(&text, Specials::Parse).unwrap();
        let expected = (case["count"].as_u64().unwrap() as usize, case["fnv"].as_str().unwrap().to_owned());
        assert_eq!((found.len(), fnv(&found)), expected, "{name}: {} of {:?}", case["times"], case["unit"]);
    }
    let prompt = &cases["prompt"];
    let found = tokenizer.encode_prompt(prompt["text"].as_str().unwrap(), Specials::Parse).unwrap();
    assert_eq!(found, ids(&prompt["ids"]), "{name}: a raw prompt");
}

/// Whether some user's text holds the name of a special token: then the reference lets users write them, we do not.
fn names_special_tokens(model: &TextModel, case: &Value) -> bool {
    messages(&case["messages"]).iter().any(|message| {
        let tokenizer = &model.tokenizer;
        let (parsed, plain) = (
            tokenizer.encode(&message.content, Specials::Parse).unwrap(),
            tokenizer.encode(&message.content, Specials::Plain).unwrap(),
        );
        parsed != plain
    })
}

fn check_chats(name: &str, model: &TextModel) -> usize {
    let chats = fixture(&format!("{name}/chats.json"));
    let date = ChatDate::from_unix_seconds(chats["date"].as_i64().unwrap());
    let mut equal = 0;
    for case in chats["cases"].as_array().unwrap() {
        let messages = messages(&case["messages"]);
        let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
        let ending = if add_generation_prompt { Ending::Answer } else { Ending::Closed };
        let encoded = model.encode_chat(&ChatRequest { ending, ..ChatRequest::new(&messages, date) });
        if let Some(message) = case["refused"].as_str() {
            assert_eq!(
                encoded,
                Err(TextError::Refused { message: message.to_owned() }),
                "{name}: {messages:?}"
            );
            continue;
        }
        let encoded = encoded.unwrap_or_else(|error| panic!("{name}: {error}: {messages:?}"));
        assert_eq!(encoded.text, case["text"].as_str().unwrap(), "{name}: {messages:?}");
        if !names_special_tokens(model, case) {
            assert_eq!(encoded.tokens, ids(&case["ids"]), "{name}: {:?}", encoded.text);
            equal += 1;
        }
    }
    equal
}

#[test]
fn every_family_of_tokenizers_encodes_and_decodes_as_the_reference_does() {
    for (name, _) in FAMILIES {
        check_strings(name, &family(name));
    }
}

#[test]
fn every_template_renders_and_encodes_as_the_reference_does() {
    for (name, _) in FAMILIES {
        let equal = check_chats(name, &family(name));
        assert!(equal >= 18, "{name}: only {equal} conversations could be compared");
    }
}

#[test]
fn the_default_model_encodes_as_the_reference_does() {
    let Some(model) = default_model("the_default_model_encodes_as_the_reference_does") else { return };
    check_strings("smollm2", model);
    assert!(check_chats("smollm2", model) >= 20);
    assert_eq!(model.end_tokens, [0, 2]);
}
