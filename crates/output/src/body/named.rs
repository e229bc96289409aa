//! Calls as a name between markers, then arguments as JSON: Kimi, DeepSeek V3.1, Mistral from v11 on.

use std::sync::Arc;

use crate::body::{Context, Expect, Expected, Step, is_name};
use crate::json::Scanner;
use crate::symbol::{Marker, Symbol};
use crate::watch::{Newlines, Watch};

#[derive(Clone, Debug)]
pub(crate) struct NamedForm {
    /// Begins a call inside of a section; none: the opening marker began the one call.
    pub begin: Option<Marker>,
    /// Ends the name, and begins the arguments.
    pub separator: Marker,
    /// Ends the name too, and begins an id that the separator ends.
    pub id: Option<Marker>,
    /// Ends the arguments.
    pub end: Option<Marker>,
    /// Ends the section.
    pub close: Option<Marker>,
    /// The name of the tool in what stands for it.
    pub name: fn(&str) -> &str,
}

#[derive(Debug)]
enum Place {
    Between,
    Name(Watch),
    Id(Watch),
    Begin,
    Arguments(Scanner),
    End,
}

#[derive(Debug)]
pub(crate) struct NamedBody {
    form: Arc<NamedForm>,
    place: Place,
    name: String,
    /// A call was made.
    any: bool,
    expect: Expect,
}

impl NamedBody {
    pub fn new(form: Arc<NamedForm>) -> Self {
        let place = if form.begin.is_some() { Place::Between } else { Place::Name(Watch::default()) };
        Self { form, place, name: String::new(), any: false, expect: Expect::default() }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        match &mut self.place {
            Place::Between => self.between(symbol),
            Place::Name(_) | Place::Id(_) => self.named(symbol, context),
            Place::Begin if symbol.is_space() => Step::More,
            Place::Begin if symbol.char() != Some('{') => Step::Malformed,
            Place::Begin => {
                context.parts.call(&self.name);
                self.any = true;
                self.place = Place::Arguments(Scanner::new());
                self.argument('{', context)
            }
            Place::Arguments(_) => match symbol.char() {
                Some(c) => self.argument(c, context),
                None => self.ends(symbol, context),
            },
            Place::End if symbol.is_space() && self.expect.is_empty() => Step::More,
            Place::End => self.ends(symbol, context),
        }
    }

    fn between(&mut self, symbol: &Symbol) -> Step {
        if symbol.is_space() && self.expect.is_empty() {
            return Step::More;
        }
        let form = &self.form;
        match self.expect.feed(symbol, form.begin.iter().chain(&form.close)) {
            Expected::Found(0) => {
                self.name.clear();
                self.place = Place::Name(Watch::default());
                Step::More
            }
            Expected::Found(_) if self.any => Step::Done,
            Expected::Partly => Step::More,
            Expected::Found(_) | Expected::Nothing => Step::Malformed,
        }
    }

    fn named(&mut self, symbol: &Symbol, context: &Context<'_>) -> Step {
        let (watch, in_id) = match &mut self.place {
            Place::Name(watch) => (watch, false),
            Place::Id(watch) => (watch, true),
            _ => return Step::Malformed,
        };
        let mut released = Vec::new();
        let markers = std::iter::once(&self.form.separator).chain(&self.form.id);
        let found = watch.push(symbol.clone(), markers, Newlines::None, &mut released);
        for symbol in &released {
            match symbol.char() {
                Some(c) if !in_id => self.name.push(c),
                Some(_) => {}
                None => return Step::Malformed,
            }
        }
        match found {
            None if self.name.len() > 2 * super::MOST_NAME => Step::Malformed,
            None => Step::More,
            Some(_) if !is_name((self.form.name)(self.name.trim())) || !context.calls => Step::Malformed,
            Some(found) => {
                self.name = (self.form.name)(self.name.trim()).to_owned();
                self.place = if found.index == 0 { Place::Begin } else { Place::Id(Watch::default()) };
                Step::More
            }
        }
    }

    fn argument(&mut self, c: char, context: &mut Context<'_>) -> Step {
        let Place::Arguments(scanner) = &mut self.place else { return Step::Malformed };
        let Some(is_whole) = context.pass_on(scanner, c) else { return Step::Malformed };
        if is_whole {
            if self.form.end.is_none() {
                return Step::Done;
            }
            self.place = Place::End;
        }
        Step::More
    }

    /// The end of a call; the end of its section ends it too.
    fn ends(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let form = &self.form;
        match self.expect.feed(symbol, form.end.iter().chain(&form.close)) {
            Expected::Found(0) => {
                context.parts.settle();
                if form.begin.is_none() {
                    return Step::Done;
                }
                self.place = Place::Between;
                Step::More
            }
            Expected::Found(_) => Step::Done,
            Expected::Partly => Step::More,
            Expected::Nothing => Step::Malformed,
        }
    }

    pub fn end(&mut self) -> bool {
        let called = matches!(self.place, Place::Arguments(_) | Place::End);
        called || matches!(self.place, Place::Between) && self.any
    }
}
