//! Messages, calls, tools and JSON as values for a template.

use minijinja::Value;
use serde_json::{Map, Number, Value as Json};

use super::super::message::{ChatMessage, Tool, ToolCall};
use super::forms::Forms;
use super::texts::{Owner, Part, Rewrite, Source};
use super::written::Written;

/// The arguments of a call.
#[derive(Clone, Debug)]
pub(super) enum Arguments<'a> {
    Object(Map<String, Json>),
    /// No JSON object: given as it is.
    Text(&'a str),
}

impl<'a> Arguments<'a> {
    pub fn of(call: &'a ToolCall) -> Self {
        if call.arguments.trim().is_empty() {
            return Arguments::Object(Map::new());
        }
        match serde_json::from_str(&call.arguments) {
            Ok(Json::Object(object)) => Arguments::Object(object),
            _ => Arguments::Text(&call.arguments),
        }
    }
}

/// Makes values, and counts them.
pub(super) struct Writer<'a, 'f, 'g> {
    pub rewrite: &'g mut Rewrite<'a, 'f>,
    /// Whose texts come next.
    pub owner: Owner,
    /// Values inside of JSON.
    pub values: usize,
    /// Bytes of the texts.
    pub bytes: usize,
}

impl<'a> Writer<'a, '_, '_> {
    fn text(&mut self, part: Part, text: &'a str) -> String {
        let text = (self.rewrite)(Source { owner: self.owner, part }, text);
        self.bytes += text.len();
        text
    }

    pub fn preface(&mut self, text: &'a str) -> Value {
        let content = Value::from(self.text(Part::Content, text));
        Value::from_pairs([("role", Value::from("system")), ("content", content)])
    }

    pub fn message(
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
        // An absent field is left out, as `message.name is defined` asks for.
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

    pub fn tool(&mut self, tool: &'a Tool) -> Value {
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

    pub fn json(&mut self, json: &'a Json) -> Value {
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
