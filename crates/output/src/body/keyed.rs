//! Calls as a name, then keys and values in elements of their own: GLM.

use std::sync::Arc;

use crate::body::arguments::{ObjectWriter, ValueWriter};
use crate::body::xml::{push_all, read_word};
use crate::body::{Context, Expect, Expected, Step, is_name};
use crate::symbol::{Marker, Symbol};
use crate::tool::{Tool, Types};
use crate::watch::{Newlines, Watch};

#[derive(Clone, Debug)]
pub(crate) struct KeyedForm {
    /// Around a key, and around a value.
    pub key: (Marker, Marker),
    pub value: (Marker, Marker),
    /// Ends the call.
    pub close: Marker,
}

#[derive(Debug)]
enum Place {
    Name(Watch),
    /// Before a key, or the end of the call.
    Between,
    Key(Watch),
    BeforeValue,
    Value(Watch, ValueWriter),
}

#[derive(Debug)]
pub(crate) struct KeyedBody {
    form: Arc<KeyedForm>,
    place: Place,
    /// Name of the call, then key of the argument that is read.
    word: String,
    tool: Option<Tool>,
    arguments: ObjectWriter,
    expect: Expect,
}

impl KeyedBody {
    pub fn new(form: Arc<KeyedForm>) -> Self {
        Self {
            form,
            place: Place::Name(Watch::default()),
            word: String::new(),
            tool: None,
            arguments: ObjectWriter::default(),
            expect: Expect::default(),
        }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let form = self.form.clone();
        match &mut self.place {
            Place::Name(watch) => {
                let ends = [&form.key.0, &form.close];
                match read_word(watch, symbol, ends.into_iter(), &mut self.word) {
                    Ok(None) => Step::More,
                    Ok(Some(end)) if is_name(self.word.trim()) => self.call(end == 0, context),
                    _ => Step::Malformed,
                }
            }
            Place::Between | Place::BeforeValue if symbol.is_space() && self.expect.is_empty() => Step::More,
            Place::Between => match self.expect.feed(symbol, [&form.key.0, &form.close].into_iter()) {
                Expected::Found(0) => self.begin_key(),
                Expected::Found(_) => self.end_call(context),
                Expected::Partly => Step::More,
                Expected::Nothing => Step::Malformed,
            },
            Place::Key(watch) => match read_word(watch, symbol, std::iter::once(&form.key.1), &mut self.word)
            {
                Ok(None) => Step::More,
                Ok(Some(_)) => self.go(Place::BeforeValue),
                Err(()) => Step::Malformed,
            },
            Place::BeforeValue => match self.expect.feed(symbol, std::iter::once(&form.value.0)) {
                Expected::Found(_) => self.begin_value(context),
                Expected::Partly => Step::More,
                Expected::Nothing => Step::Malformed,
            },
            Place::Value(watch, writer) => {
                let mut released = Vec::new();
                let end = std::iter::once(&form.value.1);
                let found = watch.push(symbol.clone(), end, Newlines::None, &mut released);
                push_all(writer, &released, context);
                if found.is_some() {
                    self.end_value(context);
                }
                Step::More
            }
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn call(&mut self, has_key: bool, context: &mut Context<'_>) -> Step {
        let name = self.word.trim();
        self.tool = context.tool(name).cloned();
        context.parts.call(name);
        if has_key { self.begin_key() } else { self.end_call(context) }
    }

    fn begin_key(&mut self) -> Step {
        self.word.clear();
        self.go(Place::Key(Watch::default()))
    }

    fn begin_value(&mut self, context: &mut Context<'_>) -> Step {
        let key = self.word.trim();
        let types = self.tool.as_ref().map_or(Types::TEXT, |tool| tool.types(key));
        self.arguments.key(key, context.parts);
        context.parts.settle();
        let writer = ValueWriter::begin(types, context.parts);
        self.go(Place::Value(Watch::default(), writer))
    }

    fn end_value(&mut self, context: &mut Context<'_>) {
        if let Place::Value(mut watch, mut writer) = std::mem::replace(&mut self.place, Place::Between) {
            push_all(&mut writer, &watch.take(), context);
            writer.end(context.parts);
        }
        context.parts.settle();
    }

    fn end_call(&mut self, context: &mut Context<'_>) -> Step {
        self.arguments.end(context.parts);
        Step::Done
    }

    pub fn end(&mut self, whole: bool, context: &mut Context<'_>) -> bool {
        match &mut self.place {
            Place::Name(_) => return false,
            Place::Value(watch, writer) if !whole => {
                let held = watch.take();
                push_all(writer, &held, context);
            }
            _ if whole => {
                self.end_value(context);
                self.arguments.end(context.parts);
            }
            _ => {}
        }
        true
    }
}
