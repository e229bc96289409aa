//! The insides of calls, one file a form. A body takes symbols after its opening marker, writes the call's parts, and
//! says when it ends. A body that turns out to be no call is content again: the parser reads it once more as that.

pub(crate) mod arguments;
pub(crate) mod gemma;
pub(crate) mod harmony;
pub(crate) mod keyed;
pub(crate) mod literal;
pub(crate) mod named;
pub(crate) mod object;
pub(crate) mod pythonic;
pub(crate) mod xml;

use std::sync::Arc;

use crate::json::{Fed, Scanner, escape_control};
use crate::part::Parts;
use crate::symbol::{Marker, Symbol};
use crate::tool::Tool;

/// The consequence of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    /// The body ends with this symbol.
    Done,
    /// Every symbol since the last one that was settled is content.
    Malformed,
    /// The body was the header of reasoning, or of content.
    Reasoning,
    Content,
}

pub(crate) struct Context<'a> {
    pub tools: &'a [Tool],
    /// Whether the answer may call tools.
    pub calls: bool,
    pub parts: &'a mut Parts,
}

impl Context<'_> {
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Passes one more character of a call's JSON on, control characters in strings escaped; whether the JSON is whole
    /// with it. `None`: it is no JSON.
    pub fn pass_on(&mut self, scanner: &mut Scanner, c: char) -> Option<bool> {
        let (in_text, fed) = (scanner.in_text(), scanner.feed(c));
        if matches!(fed, Fed::Bad | Fed::Before) {
            return None;
        }
        let mut text = String::new();
        if in_text {
            escape_control(c, &mut text);
        } else {
            text.push(c);
        }
        self.parts.arguments(&text);
        self.parts.settle();
        Some(fed == Fed::Done)
    }
}

/// The form of what follows an opening marker.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Object(Arc<object::ObjectForm>),
    Named(Arc<named::NamedForm>),
    Xml(Arc<xml::XmlForm>),
    Keyed(Arc<keyed::KeyedForm>),
    Gemma(Arc<gemma::GemmaForm>),
    Pythonic(Arc<pythonic::PythonicForm>),
    Harmony(Arc<harmony::HarmonyForm>),
    /// Decided by the first symbol that is no white space: a bracket or a brace begins the first form.
    Either(Arc<(Form, Form)>),
}

#[derive(Debug)]
pub(crate) enum Body {
    Object(object::ObjectBody),
    Named(named::NamedBody),
    Xml(xml::XmlBody),
    Keyed(keyed::KeyedBody),
    Gemma(gemma::GemmaBody),
    Pythonic(pythonic::PythonicBody),
    Harmony(harmony::HarmonyBody),
    Either(Arc<(Form, Form)>),
}

impl Body {
    pub fn new(form: &Form) -> Self {
        match form {
            Form::Object(form) => Body::Object(object::ObjectBody::new(form.clone())),
            Form::Named(form) => Body::Named(named::NamedBody::new(form.clone())),
            Form::Xml(form) => Body::Xml(xml::XmlBody::new(form.clone())),
            Form::Keyed(form) => Body::Keyed(keyed::KeyedBody::new(form.clone())),
            Form::Gemma(form) => Body::Gemma(gemma::GemmaBody::new(form.clone())),
            Form::Pythonic(form) => Body::Pythonic(pythonic::PythonicBody::new(form.clone())),
            Form::Harmony(form) => Body::Harmony(harmony::HarmonyBody::new(form.clone())),
            Form::Either(forms) => Body::Either(forms.clone()),
        }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        if let Body::Either(forms) = self {
            if symbol.is_space() {
                return Step::More;
            }
            let bracket = matches!(symbol.char(), Some('[' | '{'));
            *self = Body::new(if bracket { &forms.0 } else { &forms.1 });
        }
        match self {
            Body::Object(body) => body.step(symbol, context),
            Body::Named(body) => body.step(symbol, context),
            Body::Xml(body) => body.step(symbol, context),
            Body::Keyed(body) => body.step(symbol, context),
            Body::Gemma(body) => body.step(symbol, context),
            Body::Pythonic(body) => body.step(symbol, context),
            Body::Harmony(body) => body.step(symbol, context),
            Body::Either(_) => Step::Malformed,
        }
    }

    /// The output has ended: of itself where `whole`, else by a limit. False: what was not settled is content.
    pub fn end(&mut self, whole: bool, context: &mut Context<'_>) -> bool {
        match self {
            Body::Object(body) => body.end(whole, context),
            Body::Named(body) => body.end(),
            Body::Xml(body) => body.end(whole, context),
            Body::Keyed(body) => body.end(whole, context),
            Body::Gemma(body) => body.end(),
            Body::Pythonic(body) => body.end(whole, context),
            Body::Harmony(body) => body.end(),
            Body::Either(_) => false,
        }
    }
}

/// Compares symbols with markers that must come next.
#[derive(Debug, Default)]
pub(crate) struct Expect {
    held: Vec<Symbol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The marker of this index is complete.
    Found(usize),
    Partly,
    Nothing,
}

impl Expect {
    pub fn feed<'a>(&mut self, symbol: &Symbol, markers: impl Iterator<Item = &'a Marker>) -> Expected {
        self.held.push(symbol.clone());
        let mut expected = Expected::Nothing;
        for (index, marker) in markers.enumerate().filter(|(_, marker)| !marker.is_empty()) {
            match marker.compare(&self.held) {
                Some(true) => {
                    self.held.clear();
                    return Expected::Found(index);
                }
                Some(false) => expected = Expected::Partly,
                None => {}
            }
        }
        expected
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

/// Longer names are no names.
const MOST_NAME: usize = 256;

/// Whether a tool may have this name: no white space, and nothing that formats use as punctuation.
pub(crate) fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "{}[]()<>\"'`,;=".contains(c);
    !name.is_empty() && name.len() <= MOST_NAME && !name.contains(odd)
}
