//! Calls as elements: a section, in it a call with its name, in that a parameter for each argument. Qwen3-Coder, Seed,
//! MiniMax and DeepSeek's DSML differ in their tags.

use std::sync::Arc;

use crate::body::arguments::{ObjectWriter, ValueWriter};
use crate::body::{Context, Expect, Expected, Step, is_name};
use crate::symbol::{Marker, Symbol};
use crate::tool::{Tool, Types};
use crate::watch::{Newlines, Watch};

/// The way in which a parameter says its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Schema,
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub(crate) struct XmlForm {
    /// Before and after a call's name.
    pub call: (Marker, Marker),
    pub call_end: Marker,
    /// Before a parameter's key, and what may follow the key.
    pub parameter: Marker,
    pub key_ends: Vec<(Marker, Typed)>,
    pub parameter_end: Marker,
    /// Ends the section.
    pub close: Marker,
    /// A newline after the opening tag of a parameter, and one before the closing tag, are not part of the value.
    pub trims: bool,
}

#[derive(Debug)]
enum Place {
    /// Before a call, or the end of the section.
    Section,
    Name(Watch),
    /// Before a parameter, or the end of the call.
    Call,
    Key(Watch),
    Value {
        watch: Watch,
        writer: ValueWriter,
        first: bool,
    },
}

#[derive(Debug)]
pub(crate) struct XmlBody {
    form: Arc<XmlForm>,
    place: Place,
    /// Name of the call or key of the parameter that is read.
    word: String,
    tool: Option<Tool>,
    arguments: ObjectWriter,
    any: bool,
    expect: Expect,
}

impl XmlBody {
    pub fn new(form: Arc<XmlForm>) -> Self {
        Self {
            form,
            place: Place::Section,
            word: String::new(),
            tool: None,
            arguments: ObjectWriter::default(),
            any: false,
            expect: Expect::default(),
        }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let form = self.form.clone();
        match &mut self.place {
            Place::Section | Place::Call if symbol.is_space() && self.expect.is_empty() => Step::More,
            Place::Section => match self.expect.feed(symbol, [&form.call.0, &form.close].into_iter()) {
                Expected::Found(0) => {
                    self.word.clear();
                    self.go(Place::Name(Watch::default()))
                }
                Expected::Found(_) if self.any => Step::Done,
                Expected::Partly => Step::More,
                _ => Step::Malformed,
            },
            Place::Name(watch) => {
                let ends = std::iter::once(&form.call.1);
                match read_word(watch, symbol, ends, &mut self.word) {
                    Ok(None) => Step::More,
                    Ok(Some(_)) if is_name(&self.word) => self.call(context),
                    _ => Step::Malformed,
                }
            }
            Place::Call => {
                let markers = [&form.parameter, &form.call_end, &form.close];
                match self.expect.feed(symbol, markers.into_iter()) {
                    Expected::Found(0) => {
                        self.word.clear();
                        self.go(Place::Key(Watch::default()))
                    }
                    Expected::Found(found) => {
                        self.end_call(context);
                        if found == 1 { self.go(Place::Section) } else { Step::Done }
                    }
                    Expected::Partly => Step::More,
                    Expected::Nothing => Step::Malformed,
                }
            }
            Place::Key(watch) => {
                let ends = form.key_ends.iter().map(|(end, _)| end);
                match read_word(watch, symbol, ends, &mut self.word) {
                    Ok(None) => Step::More,
                    Ok(Some(end)) => self.begin_value(form.key_ends[end].1, context),
                    Err(()) => Step::Malformed,
                }
            }
            Place::Value { .. } => self.value(symbol, context),
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn call(&mut self, context: &mut Context<'_>) -> Step {
        self.tool = context.tool(&self.word).cloned();
        context.parts.call(&self.word);
        self.any = true;
        self.go(Place::Call)
    }

    fn end_call(&mut self, context: &mut Context<'_>) {
        self.arguments.end(context.parts);
        context.parts.settle();
    }

    fn begin_value(&mut self, typed: Typed, context: &mut Context<'_>) -> Step {
        let types = match typed {
            Typed::Schema => self.tool.as_ref().map_or(Types::TEXT, |tool| tool.types(&self.word)),
            Typed::Text => Types::TEXT,
            Typed::Json => Types::JSON,
        };
        self.arguments.key(&self.word, context.parts);
        context.parts.settle();
        let writer = ValueWriter::begin(types, context.parts);
        self.go(Place::Value { watch: Watch::default(), writer, first: self.form.trims })
    }

    fn value(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let Place::Value { watch, writer, first } = &mut self.place else { return Step::Malformed };
        if std::mem::take(first) && symbol.is_newline() {
            return Step::More;
        }
        let newlines = if self.form.trims { Newlines::One } else { Newlines::None };
        // Only a token can end the section from here: text may quote its closing tag.
        let close = Some(&self.form.close).filter(|close| close.is_token() && close.elements().len() == 1);
        let markers = std::iter::once(&self.form.parameter_end).chain(close);
        let mut released = Vec::new();
        let found = watch.push(symbol.clone(), markers, newlines, &mut released);
        push_all(writer, &released, context);
        let Some(found) = found else { return Step::More };
        self.end_value(context);
        if found.index == 0 {
            return Step::More;
        }
        self.end_call(context);
        Step::Done
    }

    fn end_value(&mut self, context: &mut Context<'_>) {
        if let Place::Value { mut watch, mut writer, .. } = std::mem::replace(&mut self.place, Place::Call) {
            push_all(&mut writer, &watch.take(), context);
            writer.end(context.parts);
        }
        context.parts.settle();
    }

    pub fn end(&mut self, whole: bool, context: &mut Context<'_>) -> bool {
        match &mut self.place {
            Place::Value { .. } if whole => {
                self.end_value(context);
                self.end_call(context);
                true
            }
            Place::Value { watch, writer, .. } => {
                let held = watch.take();
                push_all(writer, &held, context);
                true
            }
            Place::Call | Place::Key(_) => {
                if whole {
                    self.end_call(context);
                }
                true
            }
            Place::Section => self.any,
            Place::Name(_) => false,
        }
    }
}

pub(crate) fn push_all(writer: &mut ValueWriter, symbols: &[Symbol], context: &mut Context<'_>) {
    let mut text = String::new();
    symbols.iter().for_each(|symbol| symbol.write(&mut text));
    writer.push(&text, context.parts);
    context.parts.settle();
}

/// Reads a name or a key up to one of `ends`: `Ok(Some)` is the index of that end.
pub(crate) fn read_word<'a>(
    watch: &mut Watch,
    symbol: &Symbol,
    ends: impl Iterator<Item = &'a Marker> + Clone,
    word: &mut String,
) -> Result<Option<usize>, ()> {
    let mut released = Vec::new();
    let found = watch.push(symbol.clone(), ends, Newlines::All, &mut released);
    for symbol in released {
        word.push(symbol.char().ok_or(())?);
    }
    if word.len() > super::MOST_NAME { Err(()) } else { Ok(found.map(|found| found.index)) }
}
