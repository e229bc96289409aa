//! Reads an output piece by piece into content, reasoning and calls.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::body::{Body, Context, Form, Step};
use crate::format::Format;
use crate::opening::Opening;
use crate::part::{Part, Parts};
use crate::symbol::{self, Marker, Piece, Symbol};
use crate::tool::Tool;
use crate::watch::{Newlines, Watch};

/// How one answer is to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub tools: Arc<[Tool]>,
    /// Whether the answer may call tools; where it may not, the markers of calls are content.
    pub calls: bool,
    /// The prompt has opened the reasoning.
    pub starts_in_reasoning: bool,
}

/// Why an output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model ended it: what a call still lacks at its end is supplied.
    Whole,
    /// A limit or a stop cut it: a call that was cut stays visibly cut.
    Cut,
}

/// Symbols of a body that is not yet known to be a call; one that holds more is content.
const MOST_UNSETTLED: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
enum Target {
    Reasoning,
    /// The end of a message.
    End,
    Opening(usize),
}

#[derive(Debug)]
enum Mode {
    Content,
    Reasoning,
    Body(Box<Body>),
}

/// Fed with the pieces of one output, in order. The parts do not depend on where the output was cut into pieces. No text
/// is lost: what is no marker, and no part of a call, comes out as content or reasoning. Newlines around markers belong
/// to them.
#[derive(Debug)]
pub struct Parser {
    format: Arc<Format>,
    reading: Reading,
    queue: VecDeque<Symbol>,
    parts: Parts,
    mode: Mode,
    watch: Watch,
    /// The markers looked for in content: at the start of the answer, and later.
    at_start: Vec<(Target, Marker)>,
    later: Vec<(Target, Marker)>,
    /// Nothing but white space and reasoning has come.
    is_start: bool,
    /// Newlines that come next belong to the marker before.
    skips_newlines: bool,
    /// Content inside of a message whose end is a token of its own.
    framed: bool,
    /// Symbols that become content if the body is no call, its opening marker first.
    unsettled: Vec<Symbol>,
    /// Of those, the opening marker.
    opening: usize,
}

impl Parser {
    pub fn new(format: Arc<Format>, reading: Reading) -> Self {
        let mut at_start: Vec<(Target, Marker)> = Vec::new();
        let mut later = Vec::new();
        let mut look_for = |target: Target, marker: &Marker, only_at_start: bool| {
            at_start.push((target, marker.clone()));
            if !only_at_start {
                later.push((target, marker.clone()));
            }
        };
        for (index, opening) in format.openings.iter().enumerate() {
            if reading.calls || matches!(opening.form, Form::Harmony(_)) {
                look_for(Target::Opening(index), &opening.marker, opening.at_start);
            }
        }
        format.ends.iter().for_each(|end| look_for(Target::End, end, false));
        // Harmony's headers tell reasoning from content themselves.
        if let Some(reasoning) = format.reasoning.as_ref().filter(|_| format.ends.is_empty()) {
            look_for(Target::Reasoning, &reasoning.open, !reasoning.open.is_token());
        }
        let reasons = reading.starts_in_reasoning && format.reasons();
        let mode = if reasons { Mode::Reasoning } else { Mode::Content };
        Self {
            format,
            queue: VecDeque::new(),
            parts: Parts::default(),
            watch: Watch::default(),
            at_start,
            later,
            is_start: true,
            skips_newlines: reasons,
            framed: reasons,
            unsettled: Vec::new(),
            opening: 0,
            mode,
            reading,
        }
    }

    /// Takes the next piece; gives the parts that are certain now.
    pub fn push(&mut self, piece: Piece<'_>) -> Vec<Part> {
        symbol::append(piece, &mut self.queue);
        self.drain();
        self.parts.take()
    }

    /// Ends the output; gives what was held back.
    pub fn finish(&mut self, end: End) -> Vec<Part> {
        loop {
            self.drain();
            let mut context =
                Context { tools: &self.reading.tools, calls: self.reading.calls, parts: &mut self.parts };
            match &mut self.mode {
                Mode::Content => {
                    let held = self.watch.take();
                    self.content(&held);
                    break;
                }
                Mode::Reasoning => {
                    self.parts.reasoning(&text_of(&self.watch.take()));
                    break;
                }
                Mode::Body(body) => {
                    if body.end(end == End::Whole, &mut context) {
                        break;
                    }
                    self.give_up();
                }
            }
        }
        self.parts.take()
    }

    /// Ends the text so far: a held beginning of a marker becomes text, an open call is over, and none of it is told.
    pub fn settle(&mut self) {
        self.drain();
        let held = self.watch.take();
        match self.mode {
            Mode::Content => self.content(&held),
            Mode::Reasoning => {}
            Mode::Body(_) => {
                self.is_start = false;
                self.enter(Mode::Content, false);
            }
        }
        self.parts = Parts::default();
    }

    /// The output so far ends inside of reasoning.
    pub fn in_reasoning(&self) -> bool {
        matches!(self.mode, Mode::Reasoning)
    }

    fn drain(&mut self) {
        while let Some(symbol) = self.queue.pop_front() {
            match &self.mode {
                Mode::Body(_) => self.in_body(symbol),
                _ if std::mem::take(&mut self.skips_newlines) && symbol.is_newline() => {
                    self.skips_newlines = true
                }
                Mode::Content => self.in_content(symbol),
                Mode::Reasoning => self.reason(symbol),
            }
        }
    }

    fn in_content(&mut self, symbol: Symbol) {
        let targets = if self.is_start { &self.at_start } else { &self.later };
        let mut released = Vec::new();
        let markers = targets.iter().map(|(_, marker)| marker);
        let found = self.watch.push(symbol, markers, Newlines::All, &mut released);
        let found = found.map(|found| (targets[found.index].0, found.symbols));
        self.content(&released);
        match found {
            None => {}
            Some((Target::Reasoning, symbols)) if !self.is_start && !self.opens_anywhere() => {
                self.content(&symbols)
            }
            Some((Target::Reasoning, _)) => self.enter(Mode::Reasoning, true),
            Some((Target::End, _)) if self.framed => {
                self.framed = false;
                self.skips_newlines = true;
            }
            Some((Target::End, symbols)) => self.content(&symbols),
            Some((Target::Opening(index), symbols)) => self.open(index, symbols),
        }
    }

    fn opens_anywhere(&self) -> bool {
        self.format.reasoning.as_ref().is_some_and(|reasoning| reasoning.open.is_token())
    }

    fn content(&mut self, symbols: &[Symbol]) {
        self.is_start &= symbols.iter().all(Symbol::is_space);
        self.parts.content(&text_of(symbols));
    }

    fn enter(&mut self, mode: Mode, skips_newlines: bool) {
        self.mode = mode;
        self.skips_newlines = skips_newlines;
        self.unsettled.clear();
        self.opening = 0;
    }

    fn open(&mut self, index: usize, symbols: Vec<Symbol>) {
        let Opening { form, at_start, feeds, .. } = &self.format.openings[index];
        if *at_start && !self.is_start {
            return self.content(&symbols);
        }
        let (mut body, feeds) = (Body::new(form), *feeds);
        if let Body::Harmony(body) = &mut body {
            body.open(&symbols);
        }
        self.enter(Mode::Body(Box::new(body)), false);
        self.opening = symbols.len();
        self.unsettled = symbols;
        if feeds && let Some(first) = self.unsettled.pop() {
            self.in_body(first);
        }
    }

    fn reason(&mut self, symbol: Symbol) {
        let closes = self.format.reasoning.as_ref().map_or(&[][..], |reasoning| &reasoning.closes);
        let mut released = Vec::new();
        let found = self.watch.push(symbol, closes.iter(), Newlines::All, &mut released);
        self.parts.reasoning(&text_of(&released));
        if found.is_some() {
            self.framed = false;
            self.enter(Mode::Content, true);
        }
    }

    fn in_body(&mut self, symbol: Symbol) {
        let Mode::Body(body) = &mut self.mode else { return };
        self.unsettled.push(symbol.clone());
        let mut context =
            Context { tools: &self.reading.tools, calls: self.reading.calls, parts: &mut self.parts };
        let step = body.step(&symbol, &mut context);
        if self.parts.take_settled() {
            self.is_start = false;
            self.opening = 0;
            self.unsettled.clear();
            if step == Step::Malformed {
                self.unsettled.push(symbol);
            }
        }
        match step {
            Step::More if self.unsettled.len() < MOST_UNSETTLED => {}
            Step::More | Step::Malformed => self.give_up(),
            Step::Done => self.enter(Mode::Content, true),
            Step::Reasoning => self.enter(Mode::Reasoning, true),
            Step::Content => {
                self.framed = true;
                self.enter(Mode::Content, false);
            }
        }
    }

    /// The body is no call: its opening marker is content, and the rest is read again.
    fn give_up(&mut self) {
        let mut symbols = std::mem::take(&mut self.unsettled);
        let rest = symbols.split_off(self.opening.min(symbols.len()));
        self.enter(Mode::Content, false);
        self.content(&symbols);
        rest.into_iter().rev().for_each(|symbol| self.queue.push_front(symbol));
    }
}

fn text_of(symbols: &[Symbol]) -> String {
    let mut text = String::new();
    symbols.iter().for_each(|symbol| symbol.write(&mut text));
    text
}
