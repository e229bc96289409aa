//! Chat templates with tools, re-made small, each with a tokenizer that has its markers as special tokens; and answers as
//! models of the family write them.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use attentionstore_model::loader::{TextSource, TokenizerSource};
use attentionstore_model::text::{
    ChatDate, ChatMessage, ChatRequest, EncodedPrompt, Ending, Specials, StoredAnswer, TextError, TextModel,
    Tool, ToolCall,
};
use serde_json::{Map, Value, json};

use crate::text_support::{fixture, fixture_path, message};

/// One call as the model writes it: name and arguments.
pub type Call<'a> = (&'a str, &'a str);

/// Writes an answer of reasoning, content and calls: the reasoning with its markers, and the rest.
type Written = fn(reasoning: Option<&str>, content: &str, calls: &[Call<'_>]) -> (String, String);

/// How one family writes its answers.
pub struct Family {
    pub name: &'static str,
    tokenizer: &'static str,
    template: &'static str,
    specials: &'static [&'static str],
    end: &'static str,
    pub parallel: bool,
    pub answer: Written,
}

pub const FAMILIES: [Family; 8] = [
    Family {
        name: "hermes",
        tokenizer: "qwen2",
        template: "hermes",
        specials: &[],
        end: "<|im_end|>",
        parallel: true,
        answer: |_, content, calls| (String::new(), hermes(content, calls)),
    },
    Family {
        name: "thinking",
        tokenizer: "qwen2",
        template: "thinking",
        specials: &[],
        end: "<|im_end|>",
        parallel: true,
        answer: |reasoning, content, calls| {
            let reasoning = reasoning.map_or(String::new(), |text| format!("<think>\n{text}\n</think>\n\n"));
            (reasoning, hermes(content, calls))
        },
    },
    Family {
        name: "headers",
        tokenizer: "llama3",
        template: "headers",
        specials: &["<|python_tag|>", "<|eom_id|>"],
        end: "<|eot_id|>",
        parallel: false,
        answer: |_, content, calls| {
            let call = |(name, arguments): &Call<'_>| {
                format!("<|python_tag|>{{\"name\":\"{name}\",  \"parameters\": {arguments}}}")
            };
            (String::new(), calls.first().map_or(content.to_owned(), call))
        },
    },
    Family {
        name: "inst-list",
        tokenizer: "tekken",
        template: "inst-list",
        specials: &[
            "[TOOL_CALLS]",
            "[TOOL_RESULTS]",
            "[/TOOL_RESULTS]",
            "[AVAILABLE_TOOLS]",
            "[/AVAILABLE_TOOLS]",
        ],
        end: "</s>",
        parallel: true,
        answer: |_, content, calls| {
            let one =
                |(name, arguments): &Call<'_>| format!("{{\"name\":\"{name}\",\"arguments\":{arguments}}}");
            let list: Vec<String> = calls.iter().map(one).collect();
            let text = if calls.is_empty() {
                content.to_owned()
            } else {
                format!("[TOOL_CALLS] [{}]", list.join(","))
            };
            (String::new(), text)
        },
    },
    Family {
        name: "inst-args",
        tokenizer: "tekken",
        template: "inst-args",
        specials: &[
            "[TOOL_CALLS]",
            "[ARGS]",
            "[TOOL_RESULTS]",
            "[/TOOL_RESULTS]",
            "[AVAILABLE_TOOLS]",
            "[/AVAILABLE_TOOLS]",
            "[SYSTEM_PROMPT]",
            "[/SYSTEM_PROMPT]",
        ],
        end: "</s>",
        parallel: true,
        answer: |_, content, calls| {
            let one = |(name, arguments): &Call<'_>| format!("[TOOL_CALLS]{name}[ARGS]{arguments}");
            (String::new(), content.to_owned() + &calls.iter().map(one).collect::<String>())
        },
    },
    Family {
        name: "channels",
        tokenizer: "llama3",
        template: "channels",
        specials: &[
            "<|start|>",
            "<|end|>",
            "<|message|>",
            "<|channel|>",
            "<|constrain|>",
            "<|return|>",
            "<|call|>",
        ],
        end: "<|return|>",
        parallel: false,
        answer: |reasoning, content, calls| {
            let analysis = |text| format!("<|channel|>analysis<|message|>{text}<|end|>");
            let opening = if reasoning.is_some() { "<|start|>assistant" } else { "" };
            let rest = match calls.first() {
                Some((name, arguments)) => format!(
                    "{opening}<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}"
                ),
                None => format!("{opening}<|channel|>final<|message|>{content}"),
            };
            (reasoning.map_or(String::new(), analysis), rest)
        },
    },
    Family {
        name: "generic",
        tokenizer: "gpt2",
        template: "../chatml",
        specials: &[],
        end: "<|im_end|>",
        parallel: true,
        answer: |_, content, calls| (String::new(), hermes(content, calls)),
    },
    Family {
        name: "parameters",
        tokenizer: "qwen2",
        template: "parameters",
        specials: &[],
        end: "<|im_end|>",
        parallel: true,
        answer: |_, content, calls| {
            let one = |(name, arguments): &Call<'_>| {
                let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap();
                let parameter =
                    |(key, value): (&String, &Value)| format!("<parameter={key}>\n{value}\n</parameter>\n");
                let parameters: String = arguments.iter().map(parameter).collect();
                format!("<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>")
            };
            let calls: Vec<String> = calls.iter().map(one).collect();
            (String::new(), content.to_owned() + &calls.join("\n"))
        },
    },
];

fn hermes(content: &str, calls: &[Call<'_>]) -> String {
    let one = |(name, arguments): &Call<'_>| {
        format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>")
    };
    let calls: Vec<String> = calls.iter().map(one).collect();
    let separator = if content.is_empty() || calls.is_empty() { "" } else { "\n" };
    format!("{content}{separator}{}", calls.join("\n"))
}

pub fn family(name: &str) -> &'static Family {
    FAMILIES.iter().find(|family| family.name == name).unwrap()
}

pub fn tool_template(name: &str) -> String {
    std::fs::read_to_string(fixture_path(&format!("templates/tools/{name}.jinja"))).unwrap()
}

impl Family {
    pub fn model(&self) -> TextModel {
        model_with(self.tokenizer, &tool_template(self.template), self.specials, self.end)
    }
}

/// A tokenizer of the fixtures with more special tokens.
pub fn model_with(tokenizer: &str, template: &str, specials: &[&str], end: &str) -> TextModel {
    let chats = fixture(&format!("{tokenizer}/chats.json"));
    model_with_tokens(tokenizer, template, specials, chats["tokens"]["bos"].as_str(), end)
}

pub fn model_with_tokens(
    tokenizer: &str,
    template: &str,
    specials: &[&str],
    bos: Option<&str>,
    end: &str,
) -> TextModel {
    let mut definition = fixture(&format!("{tokenizer}/tokenizer.json"));
    let added = definition["added_tokens"].as_array_mut().unwrap();
    for (id, special) in (1000..).zip(specials) {
        let flags = json!({"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
        let mut token = json!({"id": id, "content": special});
        token.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        added.push(token);
    }
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = Path::new(directory.path()).join("tokenizer.json");
    std::fs::write(&path, definition.to_string()).unwrap();
    let source = TextSource {
        tokenizer: TokenizerSource::HuggingFace { path },
        chat_template: Some(template.to_owned()),
        bos_token: bos.map(str::to_owned),
        eos_token: Some(end.to_owned()),
        unk_token: None,
        pad_token: None,
    };
    TextModel::from_source(&source, &[], 1 << 20).unwrap()
}

pub fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.to_owned(), description: Some(format!("Does {name}.")), parameters }
}

pub fn weather() -> Tool {
    tool(
        "get_weather",
        json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}),
    )
}

pub fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: "abcdefghi".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

pub fn calling(content: &str, tool_calls: Vec<ToolCall>) -> ChatMessage {
    ChatMessage { tool_calls, ..message("assistant", content) }
}

pub fn result(content: &str) -> ChatMessage {
    ChatMessage { tool_call_id: Some("abcdefghi".to_owned()), ..message("tool", content) }
}

pub fn encode_with(
    model: &TextModel,
    messages: &[ChatMessage],
    tools: &[Tool],
    arguments: &Value,
    ending: Ending,
) -> Result<EncodedPrompt, TextError> {
    let date = ChatDate::from_unix_seconds(0);
    model.encode_chat(&ChatRequest {
        messages,
        tools,
        arguments: arguments.as_object(),
        ending,
        date,
        template: None,
    })
}

pub fn encode(model: &TextModel, messages: &[ChatMessage], tools: &[Tool]) -> EncodedPrompt {
    encode_with(model, messages, tools, &Value::Null, Ending::Answer).unwrap()
}

/// Ids of a generated text, cut where the tokenizer would not cut it. No answer holds a token that ends turns: where its
/// text stands, that was written.
pub fn sampled(model: &TextModel, text: &str) -> Vec<u32> {
    let specials = |piece: &str| if piece.contains("<|im_end|>") { Specials::Plain } else { Specials::Parse };
    let pieces = text.split_inclusive([' ', '"', ':', ',']);
    pieces.flat_map(|piece| model.tokenizer.encode(piece, specials(piece)).unwrap()).collect()
}

/// The kept part of an answer: the ids of its reasoning and of the rest.
pub fn stored(model: &TextModel, (reasoning, rest): &(String, String)) -> StoredAnswer {
    let (reasoning_ids, rest_ids) = (sampled(model, reasoning), sampled(model, rest));
    StoredAnswer {
        reasoning: reasoning_ids.len(),
        ids: [reasoning_ids, rest_ids].concat(),
        covered_bytes: reasoning.len() + rest.len(),
        whole: true,
    }
}
