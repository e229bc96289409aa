//! Calls of Gemma 4: `call:name{key:value}`, with strings between tokens of their own.

use std::sync::Arc;

use crate::body::literal::{Dialect, Literal};
use crate::body::{Context, Expect, Expected, Step, is_name};
use crate::json::Fed;
use crate::symbol::{Marker, Symbol};

#[derive(Clone, Debug)]
pub(crate) struct GemmaForm {
    /// Before the name.
    pub call: Marker,
    /// The token around strings.
    pub quote: u32,
    /// Ends the call.
    pub close: Marker,
}

#[derive(Debug)]
enum Place {
    Call,
    Name,
    Arguments(Literal),
    End,
}

#[derive(Debug)]
pub(crate) struct GemmaBody {
    form: Arc<GemmaForm>,
    place: Place,
    name: String,
    expect: Expect,
}

impl GemmaBody {
    pub fn new(form: Arc<GemmaForm>) -> Self {
        Self { form, place: Place::Call, name: String::new(), expect: Expect::default() }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        match &mut self.place {
            Place::Call | Place::End if symbol.is_space() && self.expect.is_empty() => Step::More,
            Place::Call => match self.expect.feed(symbol, std::iter::once(&self.form.call)) {
                Expected::Found(_) => self.go(Place::Name),
                Expected::Partly => Step::More,
                Expected::Nothing => Step::Malformed,
            },
            Place::Name => match symbol.char() {
                Some('{') if is_name(&self.name) => {
                    context.parts.call(&self.name);
                    self.place = Place::Arguments(Literal::new(Dialect::Gemma { quote: self.form.quote }));
                    self.argument(symbol, context)
                }
                Some(c) if self.name.len() < super::MOST_NAME => {
                    self.name.push(c);
                    Step::More
                }
                _ => Step::Malformed,
            },
            Place::Arguments(_) => self.argument(symbol, context),
            Place::End => match self.expect.feed(symbol, std::iter::once(&self.form.close)) {
                Expected::Found(_) => Step::Done,
                Expected::Partly => Step::More,
                Expected::Nothing => Step::Malformed,
            },
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn argument(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let Place::Arguments(literal) = &mut self.place else { return Step::Malformed };
        let mut json = String::new();
        let fed = literal.feed(symbol, &mut json);
        if matches!(fed, Fed::Bad | Fed::Before) {
            return Step::Malformed;
        }
        context.parts.arguments(&json);
        context.parts.settle();
        if fed == Fed::Done { self.go(Place::End) } else { Step::More }
    }

    pub fn end(&mut self) -> bool {
        matches!(self.place, Place::Arguments(_) | Place::End)
    }
}
