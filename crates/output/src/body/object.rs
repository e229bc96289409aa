//! Calls as JSON objects with a name and arguments: alone, in a list, or one after another.

use std::sync::Arc;

use crate::body::{Context, Expect, Expected, Step, is_name};
use crate::json::{Fed, Scanner, Unescape, escape_control};
use crate::symbol::{Marker, Symbol};

#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectForm {
    /// Ends the calls; none: they end with the last object.
    pub close: Option<Marker>,
    /// The objects may lie in an array.
    pub list: bool,
    /// Further objects may follow, with a comma, a semicolon or nothing between.
    pub more: bool,
    /// Only an object that names a known tool is a call: no marker tells it from content.
    pub known: bool,
}

/// The keys of a call that no marker announces: an object with another key is content at once.
const KEYS: [&str; 5] = ["name", "type", "id", "arguments", "parameters"];

#[derive(Debug)]
enum Place {
    Start,
    Key,
    KeyText(Unescape),
    Colon,
    Value,
    Name(Unescape),
    Skip(Scanner),
    Arguments(Scanner),
    /// Arguments as JSON inside of a JSON string.
    Quoted {
        unescape: Unescape,
        scanner: Scanner,
        done: bool,
    },
    Next,
    After,
}

#[derive(Debug)]
pub(crate) struct ObjectBody {
    form: Arc<ObjectForm>,
    place: Place,
    in_list: bool,
    key: String,
    name: String,
    named: bool,
    called: bool,
    /// Arguments that came before the name.
    early: String,
    /// The arguments have begun, and ended.
    begun: bool,
    complete: bool,
    closing: Expect,
}

impl ObjectBody {
    pub fn new(form: Arc<ObjectForm>) -> Self {
        Self {
            form,
            place: Place::Start,
            in_list: false,
            key: String::new(),
            name: String::new(),
            named: false,
            called: false,
            early: String::new(),
            begun: false,
            complete: false,
            closing: Expect::default(),
        }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        if !self.closing.is_empty() {
            return self.close(symbol, context);
        }
        let Some(c) = symbol.char() else { return self.close_early(symbol, context) };
        match &mut self.place {
            Place::Start | Place::Key | Place::Colon | Place::Value | Place::Next | Place::After
                if symbol.is_space() =>
            {
                Step::More
            }
            Place::Start => self.start(c),
            Place::Key => match c {
                '"' => {
                    self.key.clear();
                    self.go(Place::KeyText(Unescape::default()))
                }
                '}' => self.end_object(context),
                _ => Step::Malformed,
            },
            Place::KeyText(unescape) => match unescape.feed(c, &mut self.key) {
                Ok(true) => Step::More,
                Ok(false) if self.form.known && !KEYS.contains(&self.key.as_str()) => Step::Malformed,
                Ok(false) => self.go(Place::Colon),
                Err(()) => Step::Malformed,
            },
            Place::Colon if c == ':' => self.go(Place::Value),
            Place::Colon => Step::Malformed,
            Place::Value => self.value(c, context),
            Place::Name(unescape) => match unescape.feed(c, &mut self.name) {
                Ok(true) => Step::More,
                Ok(false) => self.end_name(context),
                Err(()) => Step::Malformed,
            },
            Place::Skip(scanner) => match scanner.feed(c) {
                Fed::More => Step::More,
                Fed::Done => self.go(Place::Next),
                Fed::Before => {
                    self.place = Place::Next;
                    self.step(symbol, context)
                }
                Fed::Bad => Step::Malformed,
            },
            Place::Arguments(scanner) => {
                let in_text = scanner.in_text();
                let fed = scanner.feed(c);
                self.argument(c, in_text, fed, context)
            }
            Place::Quoted { .. } => self.quoted(c, context),
            Place::Next => match c {
                ',' => self.go(Place::Key),
                '}' => self.end_object(context),
                _ => self.close_early(symbol, context),
            },
            Place::After => self.after(symbol, c, context),
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn start(&mut self, c: char) -> Step {
        match c {
            '{' => self.go(Place::Key),
            '[' if self.form.list && !self.in_list => {
                self.in_list = true;
                Step::More
            }
            _ => Step::Malformed,
        }
    }

    fn value(&mut self, c: char, context: &mut Context<'_>) -> Step {
        let arguments = !self.begun && matches!(self.key.as_str(), "arguments" | "parameters");
        match c {
            '"' if self.key == "name" && !self.named => self.go(Place::Name(Unescape::default())),
            '{' if arguments => {
                self.begin_arguments(context);
                let mut scanner = Scanner::new();
                let fed = scanner.feed(c);
                self.place = Place::Arguments(scanner);
                self.argument(c, false, fed, context)
            }
            '"' if arguments => {
                let (unescape, scanner) = (Unescape::default(), Scanner::new());
                self.go(Place::Quoted { unescape, scanner, done: false })
            }
            _ => {
                let mut scanner = Scanner::new();
                if scanner.feed(c) == Fed::Bad { Step::Malformed } else { self.go(Place::Skip(scanner)) }
            }
        }
    }

    fn end_name(&mut self, context: &Context<'_>) -> Step {
        self.named = is_name(&self.name) && (!self.form.known || context.tool(&self.name).is_some());
        if self.named { self.go(Place::Next) } else { Step::Malformed }
    }

    fn begin_arguments(&mut self, context: &mut Context<'_>) {
        self.begun = true;
        if self.named {
            self.call(context);
        }
    }

    fn call(&mut self, context: &mut Context<'_>) {
        self.called = true;
        context.parts.call(&self.name);
    }

    /// One character of the arguments.
    fn argument(&mut self, c: char, in_text: bool, fed: Fed, context: &mut Context<'_>) -> Step {
        if matches!(fed, Fed::Bad | Fed::Before) {
            return Step::Malformed;
        }
        let mut text = String::new();
        if in_text {
            escape_control(c, &mut text);
        } else {
            text.push(c);
        }
        if self.called {
            context.parts.arguments(&text);
            context.parts.settle();
        } else {
            self.early.push_str(&text);
        }
        if fed == Fed::Done {
            self.complete = true;
            if matches!(self.place, Place::Arguments(_)) {
                self.place = Place::Next;
            }
        }
        Step::More
    }

    fn quoted(&mut self, c: char, context: &mut Context<'_>) -> Step {
        let Place::Quoted { unescape, scanner, done } = &mut self.place else { return Step::Malformed };
        let mut text = String::new();
        match unescape.feed(c, &mut text) {
            Err(()) => return Step::Malformed,
            Ok(false) if *done => return self.go(Place::Next),
            Ok(false) => return Step::Malformed,
            Ok(true) => {}
        }
        let mut fed = Vec::new();
        for c in text.chars() {
            if !scanner.in_text() && c.is_whitespace() {
                continue;
            }
            if *done || !self.begun && fed.is_empty() && c != '{' {
                return Step::Malformed;
            }
            let in_text = scanner.in_text();
            let next = scanner.feed(c);
            *done = next == Fed::Done;
            fed.push((c, in_text, next));
        }
        for (c, in_text, next) in fed {
            if !self.begun {
                self.begin_arguments(context);
            }
            if self.argument(c, in_text, next, context) == Step::Malformed {
                return Step::Malformed;
            }
        }
        Step::More
    }

    fn end_object(&mut self, context: &mut Context<'_>) -> Step {
        if !self.settle_call(context) {
            return Step::Malformed;
        }
        (self.named, self.called, self.begun, self.complete) = (false, false, false, false);
        self.name.clear();
        let form = &self.form;
        let last = !self.in_list && form.close.is_none() && !form.more;
        if last { Step::Done } else { self.go(Place::After) }
    }

    /// Writes the parts of the call that are still missing; false if it is no call.
    fn settle_call(&mut self, context: &mut Context<'_>) -> bool {
        if !self.named || self.begun && !self.complete {
            return false;
        }
        if !self.called {
            self.call(context);
            let early = std::mem::take(&mut self.early);
            context.parts.arguments(if early.is_empty() { "{}" } else { &early });
        }
        context.parts.settle();
        true
    }

    fn after(&mut self, symbol: &Symbol, c: char, context: &mut Context<'_>) -> Step {
        match c {
            ',' if self.in_list => self.go(Place::Start),
            ']' if self.in_list => {
                self.in_list = false;
                context.parts.settle();
                if self.form.close.is_none() && !self.form.more { Step::Done } else { Step::More }
            }
            ',' | ';' if self.form.more => self.go(Place::Start),
            '{' if self.form.more && !self.in_list => self.go(Place::Key),
            _ => self.close(symbol, context),
        }
    }

    /// The closing marker, although the object is not closed: models forget braces.
    fn close_early(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let between = matches!(self.place, Place::Next) && self.named && (!self.begun || self.complete);
        let ready = matches!(self.place, Place::After) || self.called || between;
        if ready { self.close(symbol, context) } else { Step::Malformed }
    }

    fn close(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        match self.closing.feed(symbol, self.form.close.iter()) {
            Expected::Partly => Step::More,
            Expected::Nothing => Step::Malformed,
            Expected::Found(_) => {
                if !matches!(self.place, Place::After) && !self.called {
                    self.settle_call(context);
                }
                Step::Done
            }
        }
    }

    pub fn end(&mut self, whole: bool, context: &mut Context<'_>) -> bool {
        if matches!(self.place, Place::After) || self.called {
            return true;
        }
        whole && matches!(self.place, Place::Next) && self.settle_call(context)
    }
}
