//! A conversation as a template sees it: messages, tools and arguments as values. Every text that a client sent passes one
//! function on its way, so that it can be marked.

use minijinja::Value;
use serde_json::{Map, Number, Value as Json};

use super::super::error::TextError;
use super::super::message::{ChatMessage, Tool, ToolCall};
use super::forms::Forms;
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

/// Who sent a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The message of this index.
    Message(usize),
    Tools,
    /// The template's arguments.
    Arguments,
}

/// What a text is to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Content,
    Reasoning,
    /// A message's name.
    Name,
    /// A name, an id, or a string or key inside of JSON.
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub owner: Owner,
    pub part: Part,
}

/// Rewrites a text on its way to the template.
pub(crate) type Rewrite<'a, 'f> = dyn FnMut(Source, &'a str) -> String + 'f;

/// The arguments of a call.
#[derive(Clone, Debug)]
enum Arguments<'a> {
    Object(Map<String, Json>),
    /// No JSON object: given as it is.
    Text(&'a str),
}

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
            messages.iter().map(|message| message.tool_calls.iter().map(parsed).collect()).collect();
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
        let items =
            self.messages.len() + self.tools.len() + self.calls.iter().map(Vec::len).sum::<usize>();
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

fn parsed(call: &ToolCall) -> Arguments<'_> {
    if call.arguments.trim().is_empty() {
        return Arguments::Object(Map::new());
    }
    match serde_json::from_str(&call.arguments) {
        Ok(Json::Object(object)) => Arguments::Object(object),
        _ => Arguments::Text(&call.arguments),
    }
}

fn count(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Makes values, and counts them.
struct Writer<'a, 'f, 'g> {
    rewrite: &'g mut Rewrite<'a, 'f>,
    owner: Owner,
    values: usize,
    bytes: usize,
}

impl<'a> Writer<'a, '_, '_> {
    fn text(&mut self, part: Part, text: &'a str) -> String {
        let text = (self.rewrite)(Source { owner: self.owner, part }, text);
        self.bytes += text.len();
        text
    }

    fn preface(&mut self, text: &'a str) -> Value {
        let content = Value::from(self.text(Part::Content, text));
        Value::from_pairs([("role", Value::from("system")), ("content", content)])
    }

    fn message(
        &mut self,
        message: &'a ChatMessage,
        written: &'a Written<'a>,
        calls: &'a [Arguments<'a>],
        forms: Forms,
    ) -> Value {
        self.bytes += written.role.len();
        let mut fields = vec![("role", Value::from(written.role))];
        let is_bare = written.content.is_empty() && !calls.is_empty();
        let content = if is_bare && forms.no_content {
            Value::from(())
        } else {
            Value::from(self.text(Part::Content, &written.content))
        };
        fields.push(("content", content));
        // What is not there is left out, as `message.name is defined` asks for.
        if let Some(name) = &message.name {
            fields.push(("name", self.text(Part::Name, name).into()));
        }
        if let Some(reasoning) = &message.reasoning {
            fields.push((forms.reasoning, self.text(Part::Reasoning, reasoning).into()));
        }
        if !calls.is_empty() {
            let calls = message.tool_calls.iter().zip(calls);
            let calls: Vec<Value> =
                calls.map(|(call, arguments)| self.call(call, arguments, forms)).collect();
            fields.push(("tool_calls", calls.into()));
        }
        if let Some(id) = &message.tool_call_id {
            fields.push(("tool_call_id", self.text(Part::Data, id).into()));
        }
        Value::from_pairs(fields)
    }

    fn call(&mut self, call: &'a ToolCall, arguments: &'a Arguments<'a>, forms: Forms) -> Value {
        let id = self.text(Part::Data, &call.id);
        let name = self.text(Part::Data, &call.name);
        let arguments = match arguments {
            Arguments::Object(object) if !forms.arguments_as_text => self.object(object),
            Arguments::Object(_) => self.text(Part::Data, &call.arguments).into(),
            Arguments::Text(text) => self.text(Part::Data, text).into(),
        };
        let function = Value::from_pairs([("name", Value::from(name)), ("arguments", arguments)]);
        Value::from_pairs([
            ("type", Value::from("function")),
            ("id", Value::from(id)),
            ("function", function),
        ])
    }

    fn tool(&mut self, tool: &'a Tool) -> Value {
        let mut fields = vec![("name", Value::from(self.text(Part::Data, &tool.name)))];
        if let Some(description) = &tool.description {
            fields.push(("description", self.text(Part::Data, description).into()));
        }
        let parameters = match &tool.parameters {
            // Templates look into the schema; this one says that there are no arguments.
            Json::Null => Value::from_pairs([
                ("type", Value::from("object")),
                ("properties", Value::from_pairs(std::iter::empty::<(String, Value)>())),
            ]),
            parameters => self.json(parameters),
        };
        fields.push(("parameters", parameters));
        Value::from_pairs([("type", Value::from("function")), ("function", Value::from_pairs(fields))])
    }

    fn json(&mut self, json: &'a Json) -> Value {
        self.values += 1;
        match json {
            Json::Null => Value::from(()),
            Json::Bool(value) => Value::from(*value),
            Json::Number(number) => number_value(number),
            Json::String(text) => self.text(Part::Data, text).into(),
            Json::Array(items) => items.iter().map(|item| self.json(item)).collect::<Vec<Value>>().into(),
            Json::Object(map) => self.object(map),
        }
    }

    fn object(&mut self, map: &'a Map<String, Json>) -> Value {
        let pairs: Vec<(String, Value)> =
            map.iter().map(|(key, value)| (self.text(Part::Data, key), self.json(value))).collect();
        Value::from_pairs(pairs)
    }
}

fn number_value(number: &Number) -> Value {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Value::from(number),
        (None, Some(number)) => Value::from(number),
        (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
    }
}
