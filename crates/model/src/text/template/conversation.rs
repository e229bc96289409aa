//! A conversation as a template sees it: messages, tools and arguments as values. Every text that a client sent passes one
//! function on its way, so that it can be marked.

use minijinja::Value;
use serde_json::{Map, Value as Json};

use super::super::error::TextError;
use super::super::message::{ChatMessage, Tool};
use super::forms::Forms;
use super::texts::{Owner, Rewrite};
use super::values::{Arguments, Writer};
use super::written::{Tooling, Written, written};

/// Values that tools, arguments of calls and template arguments may have together: each takes some hundred bytes.
const MOST_VALUES: usize = 100_000;
/// Names that the template's own variables and functions have.
const RESERVED: [&str; 17] = [
    "messages",
    "tools",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "tokenize",
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "strftime_now",
    "raise_exception",
    "namespace",
    "range",
    "dict",
    "loop",
    "self",
];
const MOST_NAME_BYTES: usize = 64;

/// A conversation, its JSON parsed.
#[derive(Clone, Debug)]
pub(crate) struct Conversation<'a> {
    messages: &'a [ChatMessage],
    tooling: Tooling,
    /// A system message of the server's own.
    preface: Option<String>,
    written: Vec<Written<'a>>,
    /// Of each call of each message.
    calls: Vec<Vec<Arguments<'a>>>,
    tools: &'a [Tool],
    arguments: Option<&'a Map<String, Json>>,
}

/// What a template is given, and how much of it there is.
pub(super) struct Values {
    /// By the names that templates know them by.
    pub named: Vec<(String, Value)>,
    /// Messages, calls and tools.
    pub items: usize,
    /// Values inside of JSON.
    pub values: usize,
    /// Bytes of the texts.
    pub bytes: usize,
}

impl<'a> Conversation<'a> {
    /// Refuses arguments with the template's own names, and more values than a template is given.
    pub fn new(
        messages: &'a [ChatMessage],
        tools: &'a [Tool],
        arguments: Option<&'a Map<String, Json>>,
        tooling: Tooling,
    ) -> Result<Self, TextError> {
        let names = || arguments.into_iter().flat_map(Map::keys);
        if let Some(name) = names().find(|name| !is_free_name(name)) {
            return Err(TextError::Argument { name: name.clone() });
        }
        let calls: Vec<Vec<Arguments<'a>>> =
            messages.iter().map(|message| message.tool_calls.iter().map(Arguments::of).collect()).collect();
        let objects = calls.iter().flatten().filter_map(|call| match call {
            Arguments::Object(object) => Some(object),
            Arguments::Text(_) => None,
        });
        let of_map = |map: &Map<String, Json>| map.values().map(count).sum::<usize>();
        let values = objects.chain(arguments).map(of_map).sum::<usize>()
            + tools.iter().map(|tool| count(&tool.parameters)).sum::<usize>();
        if values > MOST_VALUES {
            return Err(TextError::TooManyValues { values, most: MOST_VALUES });
        }
        let (preface, written) = written(messages, tools, tooling);
        Ok(Self { messages, tooling, preface, written, calls, tools, arguments })
    }

    pub fn messages(&self) -> &'a [ChatMessage] {
        self.messages
    }

    /// The same with the first `count` messages only.
    pub fn until(&self, count: usize) -> Self {
        let mut until = self.clone();
        until.messages = &self.messages[..count];
        until.written.truncate(count);
        until.calls.truncate(count);
        until
    }

    /// All who sent a text.
    pub fn owners(&self) -> Vec<Owner> {
        let messages = (0..self.messages.len()).map(Owner::Message);
        messages.chain([Owner::Tools, Owner::Arguments]).collect()
    }

    /// The values for a template, every text rewritten.
    pub(super) fn values(&'a self, forms: Forms, rewrite: &mut Rewrite<'a, '_>) -> Values {
        let mut writer = Writer { rewrite, owner: Owner::Arguments, values: 0, bytes: 0 };
        let mut named: Vec<(String, Value)> = self
            .arguments
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), writer.json(value)))
            .collect();
        writer.owner = Owner::Tools;
        let in_values = self.tooling == Tooling::Values;
        let tools: Vec<Value> =
            self.tools.iter().filter(|_| in_values).map(|tool| writer.tool(tool)).collect();
        let preface = self.preface.as_deref().map(|text| writer.preface(text));
        named.push(("tools".into(), if tools.is_empty() { Value::from(()) } else { Value::from(tools) }));
        let messages = self.messages.iter().zip(&self.written).zip(&self.calls).enumerate();
        let messages = messages.map(|(index, ((message, written), calls))| {
            writer.owner = Owner::Message(index);
            let calls = if in_values { &calls[..] } else { &[] };
            writer.message(message, written, calls, forms)
        });
        let messages: Vec<Value> = preface.into_iter().chain(messages).collect();
        named.push(("messages".into(), Value::from(messages)));
        let items = self.messages.len() + self.tools.len() + self.calls.iter().map(Vec::len).sum::<usize>();
        Values { named, items, values: writer.values, bytes: writer.bytes }
    }
}

fn is_free_name(name: &str) -> bool {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|char| char.is_ascii_alphabetic() || char == '_');
    begins
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
        && name.len() <= MOST_NAME_BYTES
        && !RESERVED.contains(&name)
}

fn count(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

