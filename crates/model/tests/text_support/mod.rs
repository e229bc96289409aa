//! What the tests of the text side share: fixtures, and the default model's tokenizer where it is there.
#![allow(dead_code)]

#[path = "../default_model_support/mod.rs"]
mod default_model_support;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use attentionstore_model::loader::{TextSource, TokenizerSource};
use attentionstore_model::text::{ChatMessage, EncodedPrompt, StoredAnswer, TextModel};
use serde_json::Value;

/// Families of tokenizers with fixtures, and whether decoding gives back every text that was encoded.
pub const FAMILIES: [(&str, bool); 6] = [
    ("gpt2", true),
    ("llama3", true),
    ("qwen2", false),
    ("tekken", true),
    ("llama2", false),
    ("mistral", false),
];

pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/text").join(name)
}

pub fn fixture(name: &str) -> Value {
    let path = fixture_path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn template(name: &str) -> String {
    std::fs::read_to_string(fixture_path(&format!("templates/{name}.jinja"))).unwrap()
}

/// A family's tokenizer with one of the templates.
pub fn family_with(name: &str, template_source: &str) -> TextModel {
    let tokens = fixture(&format!("{name}/chats.json"))["tokens"].take();
    let token = |key: &str| tokens[key].as_str().map(str::to_owned);
    let source = TextSource {
        tokenizer: TokenizerSource::HuggingFace { path: fixture_path(&format!("{name}/tokenizer.json")) },
        chat_template: Some(template_source.to_owned()),
        bos_token: token("bos"),
        eos_token: token("eos"),
        unk_token: token("unknown"),
        pad_token: None,
    };
    TextModel::from_source(&source, &[], 1 << 20).unwrap()
}

/// A family's tokenizer with the template of its fixtures.
pub fn family(name: &str) -> TextModel {
    let chats = fixture(&format!("{name}/chats.json"));
    family_with(name, &template(chats["template"].as_str().unwrap()))
}

/// The default model's text side; `None`, said by name, where the file is not there.
pub fn default_model(test: &str) -> Option<&'static TextModel> {
    static MODEL: OnceLock<Option<TextModel>> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let loaded = attentionstore_model::load(&default_model_support::default_model()?, &|_| ()).unwrap();
        Some(TextModel::from_loaded(&loaded).unwrap())
    });
    if model.is_none() {
        println!("skipped: {test}: the default model is not there");
    }
    model.as_ref()
}

pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

pub fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage { role: role.to_owned(), content: content.to_owned(), ..ChatMessage::default() }
}

pub fn answer(content: &str, ids: &[u32], covered_bytes: usize) -> ChatMessage {
    let stored = Some(StoredAnswer { ids: ids.to_vec(), covered_bytes, reasoning: 0, whole: true });
    ChatMessage { stored, ..message("assistant", content) }
}

pub fn messages(value: &Value) -> Vec<ChatMessage> {
    let of_message = |m: &Value| ChatMessage {
        name: m["name"].as_str().map(str::to_owned),
        ..message(m["role"].as_str().unwrap(), m["content"].as_str().unwrap())
    };
    value.as_array().unwrap().iter().map(of_message).collect()
}

/// The text that tokens stand for, special tokens by their names; the reference's own decoding.
pub fn decode(model: &TextModel, prompt: &EncodedPrompt) -> String {
    model.tokenizer.decode(&prompt.tokens, false).unwrap()
}

/// FNV-1a over ids, as the fixtures keep long sequences.
pub fn fnv(ids: &[u32]) -> String {
    let hash = ids
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    format!("{hash:016x}")
}
