//! Calls as a list of Python's calls: `[f(a="x", b=1), g()]`.

use std::sync::Arc;

use crate::body::arguments::ObjectWriter;
use crate::body::literal::{Dialect, Literal};
use crate::body::{Context, Step, is_name};
use crate::json::Fed;
use crate::symbol::Symbol;

#[derive(Clone, Debug)]
pub(crate) struct PythonicForm {
    /// Only the names of known tools are calls: no marker tells them from content.
    pub known: bool,
}

#[derive(Debug)]
enum Place {
    Start,
    Name,
    /// After `(`, or after a comma.
    Key {
        first: bool,
    },
    Value(Literal),
    AfterValue,
    AfterCall,
}

#[derive(Debug)]
pub(crate) struct PythonicBody {
    form: Arc<PythonicForm>,
    place: Place,
    name: String,
    key: String,
    called: bool,
    arguments: ObjectWriter,
}

impl PythonicBody {
    pub fn new(form: Arc<PythonicForm>) -> Self {
        let (name, key) = (String::new(), String::new());
        Self { form, place: Place::Start, name, key, called: false, arguments: ObjectWriter::default() }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        if let Place::Value(_) = self.place {
            return self.value(symbol, context);
        }
        let Some(c) = symbol.char() else { return Step::Malformed };
        match &self.place {
            Place::Start if c == '[' => self.go(Place::Name),
            Place::Name if symbol.is_space() && self.name.is_empty() => Step::More,
            Place::Name if c == '(' => {
                let known = !self.form.known || context.tool(&self.name).is_some();
                if is_name(&self.name) && known {
                    self.go(Place::Key { first: true })
                } else {
                    Step::Malformed
                }
            }
            Place::Name => {
                self.name.push(c);
                if self.may_be_name(context) { Step::More } else { Step::Malformed }
            }
            Place::Key { .. } | Place::AfterValue | Place::AfterCall if symbol.is_space() => Step::More,
            Place::Key { .. } if c == ')' && self.key.is_empty() => self.end_call(context),
            Place::Key { .. } if c == '=' && !self.key.is_empty() => {
                self.call(context);
                self.arguments.key(&self.key, context.parts);
                self.key.clear();
                self.go(Place::Value(Literal::new(Dialect::Python)))
            }
            Place::Key { .. } if c.is_alphanumeric() || c == '_' => {
                self.key.push(c);
                if self.key.len() < super::MOST_NAME { Step::More } else { Step::Malformed }
            }
            Place::AfterValue if c == ',' => self.go(Place::Key { first: false }),
            Place::AfterValue if c == ')' => self.end_call(context),
            Place::AfterCall if c == ',' => {
                self.name.clear();
                self.go(Place::Name)
            }
            Place::AfterCall if c == ']' => Step::Done,
            _ => Step::Malformed,
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn may_be_name(&self, context: &Context<'_>) -> bool {
        if self.form.known {
            return context.tools.iter().any(|tool| tool.name.starts_with(&self.name));
        }
        self.name.ends_with(|c: char| c.is_alphanumeric() || "_.-".contains(c))
            && self.name.len() < super::MOST_NAME
    }

    fn call(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.called, true) {
            context.parts.call(&self.name);
        }
    }

    fn end_call(&mut self, context: &mut Context<'_>) -> Step {
        self.call(context);
        self.arguments.end(context.parts);
        context.parts.settle();
        self.called = false;
        self.go(Place::AfterCall)
    }

    fn value(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let Place::Value(literal) = &mut self.place else { return Step::Malformed };
        let mut json = String::new();
        let fed = literal.feed(symbol, &mut json);
        if fed == Fed::Bad {
            return Step::Malformed;
        }
        context.parts.arguments(&json);
        match fed {
            Fed::More => {
                context.parts.settle();
                Step::More
            }
            Fed::Before => {
                self.place = Place::AfterValue;
                self.step(symbol, context)
            }
            _ => {
                context.parts.settle();
                self.go(Place::AfterValue)
            }
        }
    }

    pub fn end(&mut self, whole: bool, context: &mut Context<'_>) -> bool {
        match self.place {
            Place::AfterValue | Place::Key { first: false } if whole => {
                self.end_call(context);
                true
            }
            Place::AfterCall => true,
            _ => self.called,
        }
    }
}
