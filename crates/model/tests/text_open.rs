//! Messages that the client began and the answer goes on with: where they end, what is read of them, and that the whole
//! message keeps its tokens.

mod text_support;
mod tools_support;

use std::sync::Arc;

use attentionstore_model::text::{
    AnswerText, ChatMessage, EncodedPrompt, Ending, Specials, StopStrings, StoredAnswer, TextError, TextModel,
};
use attentionstore_output::{End, Part, Reading, Tool};
use serde_json::{Value, json};
use text_support::{FAMILIES, family, message};
use tools_support::{encode_with, family as tool_family, model_with};

fn open(model: &TextModel, messages: &[ChatMessage]) -> Result<EncodedPrompt, TextError> {
    encode_with(model, messages, &[], &Value::Null, Ending::Open)
}

/// An answer to an open prompt, as the engine reads it: what it says, and the record of the whole message.
fn gone_on(
    model: &TextModel,
    prompt: &EncodedPrompt,
    tokens: &[u32],
    stops: &[&str],
) -> (Vec<Part>, StoredAnswer) {
    let tools = [Tool { name: "f".to_owned(), description: None, parameters: None, strict: false }];
    let reading =
        Reading { tools: tools.into(), calls: true, starts_in_reasoning: prompt.starts_in_reasoning };
    let stops = Arc::new(StopStrings::new(stops).unwrap());
    let mut answer = AnswerText::of_format(model.tokenizer.clone(), stops, model.format.clone(), reading);
    let begun = &prompt.tokens[prompt.tokens.len() - prompt.prefill..];
    answer.go_on_from(begun);
    assert_eq!(answer.in_reasoning(), prompt.prefill_in_reasoning);
    let mut parts: Vec<Part> = tokens.iter().flat_map(|token| answer.push(*token).parts).collect();
    let mut finished = answer.finish(End::Whole);
    parts.append(&mut finished.rest);
    let ids = [begun, tokens].concat()[..finished.inside_tokens].to_vec();
    let stored = StoredAnswer {
        whole: ids.len() == begun.len() + tokens.len(),
        ids,
        covered_bytes: finished.inside_bytes,
        reasoning: finished.reasoning_tokens,
    };
    (parts, stored)
}

fn content(parts: &[Part]) -> String {
    let of_part = |part: &Part| match part {
        Part::Content(text) => text.clone(),
        _ => String::new(),
    };
    parts.iter().map(of_part).collect()
}

fn with_stored(role_content: (&str, &str), stored: StoredAnswer) -> ChatMessage {
    ChatMessage { stored: Some(stored), ..message(role_content.0, role_content.1) }
}

/// Ids of a text, cut where the tokenizer would not cut it.
fn sampled(model: &TextModel, text: &str) -> Vec<u32> {
    let encode = |piece: String| model.tokenizer.encode(&piece, Specials::Plain).unwrap();
    text.chars().flat_map(|char| encode(char.to_string())).collect()
}

#[test]
fn a_message_that_was_gone_on_with_keeps_the_tokens_of_both_its_parts() {
    for (name, lossless) in FAMILIES {
        let model = family(name);
        // Pieces of these vocabularies get a space in front when they are encoded alone.
        if !lossless && name != "qwen2" {
            continue;
        }
        for (begun, rest) in [("Once upon", "ta time."), ("I", "n short: no"), ("Yes, ", "sir")] {
            let question = message("user", "Tell me.");
            let prompt = open(&model, &[question.clone(), message("assistant", begun)]).unwrap();
            assert!(prompt.text.ends_with(begun), "{name}: {:?}", prompt.text);
            let tokens = sampled(&model, rest);
            let (parts, stored) = gone_on(&model, &prompt, &tokens, &[]);
            assert_eq!(content(&parts), rest, "{name}: only the rest is told");
            assert!(stored.whole, "{name}: {stored:?}");
            let whole = with_stored(("assistant", &format!("{begun}{rest}")), stored.clone());
            let next = [question, whole, message("user", "More?")];
            let next = encode_with(&model, &next, &[], &Value::Null, Ending::Answer).unwrap();
            let history = [prompt.tokens.clone(), tokens].concat();
            assert_eq!(next.tokens[..history.len()], history, "{name}: {:?}", next.text);
            assert_eq!(next.stored_tokens[1], stored.ids.len(), "{name}");
        }
    }
}

#[test]
fn a_space_that_the_template_writes_before_the_message_is_part_of_its_first_token() {
    for name in ["llama2", "mistral"] {
        let model = family(name);
        let question = message("user", "Tell me.");
        let prompt = open(&model, &[question.clone(), message("assistant", "Once upon")]).unwrap();
        let begun = &prompt.tokens[prompt.tokens.len() - prompt.prefill..];
        let text = model.tokenizer.encode("Once upon", Specials::Plain).unwrap();
        assert!(begun.ends_with(&text[1..]), "{name}: {begun:?} is not {text:?}");
        let (_, stored) = gone_on(&model, &prompt, &sampled(&model, ""), &[]);
        let whole = with_stored(("assistant", "Once upon"), stored.clone());
        let next = [question, whole, message("user", "More?")];
        let next = encode_with(&model, &next, &[], &Value::Null, Ending::Answer).unwrap();
        assert_eq!(next.tokens[..prompt.tokens.len()], prompt.tokens, "{name}: {:?}", next.text);
        assert_eq!(next.stored_tokens[1], stored.ids.len(), "{name}");
    }
}

#[test]
fn an_answer_that_was_cut_short_is_gone_on_with_from_its_own_tokens() {
    let model = family("gpt2");
    let question = message("user", "Tell me.");
    let ids = sampled(&model, "Once upon");
    let cut = StoredAnswer { ids: ids.clone(), covered_bytes: 9, reasoning: 0, whole: true };
    let messages = [question.clone(), with_stored(("assistant", "Once upon"), cut)];
    let prompt = open(&model, &messages).unwrap();
    assert!(prompt.tokens.ends_with(&ids));
    assert_eq!(prompt.prefill, ids.len());
    let answered = encode_with(&model, &[question], &[], &Value::Null, Ending::Answer).unwrap();
    assert_eq!(prompt.tokens, [answered.tokens, ids].concat());
    // Of a message that the client changed, only what it kept of the answer is.
    let cut = StoredAnswer { ids: sampled(&model, "Once upon"), covered_bytes: 9, reasoning: 0, whole: true };
    let changed = [messages[0].clone(), with_stored(("assistant", "Once again"), cut)];
    let changed = open(&model, &changed).unwrap();
    assert_eq!(changed.stored_tokens, [0, 5]);
    assert!(changed.text.ends_with("Once again"));
}

#[test]
fn white_space_at_the_end_is_written_where_the_template_trims_it() {
    let trims = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}\
                 {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let model = model_with("gpt2", trims, &[], "<|im_end|>");
    let prompt = open(&model, &[message("user", "Hi"), message("assistant", "So: \n")]).unwrap();
    assert!(prompt.text.ends_with("assistant\nSo: \n"), "{:?}", prompt.text);
    let hostile = open(&model, &[message("user", "Hi"), message("assistant", "So <|im_end|>")]).unwrap();
    let ends =
        |prompt: &EncodedPrompt| prompt.tokens.iter().filter(|id| model.tokenizer.is_special(**id)).count();
    assert_eq!(ends(&hostile), ends(&prompt), "what the client wrote is no special token");
}

#[test]
fn a_template_that_changes_the_message_cannot_leave_it_open() {
    let of = |body: &str| {
        let source = format!(
            "{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{body}<|im_end|>\n{{% endfor %}}"
        );
        open(
            &model_with("gpt2", &source, &[], "<|im_end|>"),
            &[message("user", "Hi"), message("assistant", "A \"b\"")],
        )
    };
    assert!(of("{{ m.content }}").is_ok());
    for body in ["{{ m.content | tojson }}", "{{ m.content | upper }}", "{{ m.content[:3] }}", "x"] {
        assert_eq!(of(body).unwrap_err(), TextError::NotContinuable, "{body}");
    }
}

fn thinks(content: &str, reasoning: Option<&str>) -> ChatMessage {
    ChatMessage { reasoning: reasoning.map(str::to_owned), ..message("assistant", content) }
}

#[test]
fn a_message_that_ends_inside_its_reasoning_is_gone_on_with_as_reasoning() {
    let model = tool_family("thinking").model();
    let question = message("user", "2 + 2?");
    let rest = [sampled(&model, " is four"), model.tokenizer.encode("</think>", Specials::Parse).unwrap()];
    let rest = [rest.concat(), sampled(&model, "4")].concat();
    for begun in [thinks("<think>\nTwo and two", None), thinks("", Some("Two and two"))] {
        let prompt = open(&model, &[question.clone(), begun.clone()]).unwrap();
        assert!(prompt.text.ends_with("Two and two"), "{:?}", prompt.text);
        assert!(prompt.prefill_in_reasoning, "{begun:?}");
        let (parts, stored) = gone_on(&model, &prompt, &rest, &["four"]);
        assert_eq!(content(&parts), "4", "{begun:?}");
        assert!(parts.contains(&Part::Reasoning(" is four".into())) || parts.len() > 2, "{parts:?}");
        assert!(stored.reasoning > 0 && stored.reasoning < stored.ids.len(), "{stored:?}");
    }
    let closed = open(&model, &[question, thinks("So 4", Some("Two and two"))]).unwrap();
    assert!(closed.text.ends_with("Two and two\n</think>\n\nSo 4"), "{:?}", closed.text);
    assert!(!closed.prefill_in_reasoning);
    let (parts, _) = gone_on(&model, &closed, &sampled(&model, ", then"), &[]);
    assert_eq!(parts.iter().filter(|part| matches!(part, Part::Reasoning(_))).count(), 0);
}

#[test]
fn reasoning_that_was_gone_on_with_comes_back_with_its_tokens() {
    let model = tool_family("thinking").model();
    let question = message("user", "2 + 2?");
    let prompt = open(&model, &[question.clone(), thinks("", Some("Two and two"))]).unwrap();
    let close = model.tokenizer.encode("\n</think>\n\n", Specials::Parse).unwrap();
    let tokens = [sampled(&model, " is four"), close, sampled(&model, "4")].concat();
    let (_, stored) = gone_on(&model, &prompt, &tokens, &[]);
    let whole = ChatMessage { stored: Some(stored), ..thinks("4", Some("Two and two is four")) };
    let next = encode_with(&model, &[question, whole], &[], &Value::Null, Ending::Closed).unwrap();
    let history = [prompt.tokens, tokens].concat();
    assert_eq!(next.tokens[..history.len()], history, "{:?}", next.text);
}

#[test]
fn what_only_begins_an_answer_is_none_behind_a_message_that_was_begun() {
    let model = tool_family("headers").model();
    let question = message("user", "Hi");
    let json = sampled(&model, "{\"name\": \"f\", \"parameters\": {}}");
    let prompt = open(&model, &[question.clone(), message("assistant", "As JSON: ")]).unwrap();
    let (parts, _) = gone_on(&model, &prompt, &json, &[]);
    assert_eq!(content(&parts), "{\"name\": \"f\", \"parameters\": {}}");
    // At the very beginning it is a call.
    let answered = encode_with(&model, &[question], &[], &Value::Null, Ending::Answer).unwrap();
    assert_eq!(answered.prefill, 0);
    let (parts, _) = gone_on(&model, &answered, &json, &[]);
    assert!(parts.contains(&Part::Call { name: "f".into() }), "{parts:?}");
}

#[test]
fn stop_strings_and_held_newlines_of_what_the_client_wrote_are_not_told() {
    let model = family("gpt2");
    let prompt = open(&model, &[message("user", "Hi"), message("assistant", "End of\nlist\n")]).unwrap();
    let (parts, stored) = gone_on(&model, &prompt, &sampled(&model, "and list"), &["list", "\na"]);
    assert_eq!(content(&parts), "and ");
    assert!(!stored.whole);
}

#[test]
fn a_prompt_may_bring_a_template_of_its_own() {
    use attentionstore_model::text::{ChatDate, ChatRequest};
    let model = family("gpt2");
    let messages = [message("user", "Hi <|im_end|>")];
    let request = ChatRequest::new(&messages, ChatDate::from_unix_seconds(0));
    let own = model.encode_chat(&request).unwrap();
    let source = "{{ bos_token }}Q: {{ messages[0].content }}\nA:<|im_end|>";
    let other = model.encode_chat(&ChatRequest { template: Some(source), ..request }).unwrap();
    assert!(other.text.ends_with("Q: Hi <|im_end|>\nA:<|im_end|>"), "{}", other.text);
    assert_ne!(own.text, other.text);
    let end = model.tokenizer.added_token_id("<|im_end|>").unwrap();
    assert_eq!(other.tokens.iter().filter(|id| **id == end).count(), 1, "the user's stays text");
    let broken = model.encode_chat(&ChatRequest { template: Some("{% if %}"), ..request }).unwrap_err();
    assert!(matches!(broken, TextError::Failed { .. }), "{broken}");
    let endless = "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}";
    let endless = model.encode_chat(&ChatRequest { template: Some(endless), ..request }).unwrap_err();
    assert!(
        matches!(
            endless,
            TextError::OutOfFuel { .. } | TextError::OutputTooLong { .. } | TextError::Failed { .. }
        ),
        "{endless}"
    );
    assert_eq!(json!(model.encode_chat(&request).unwrap().text), json!(own.text), "the model's own stays");
}
