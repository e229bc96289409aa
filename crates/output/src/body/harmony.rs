//! Messages of gpt-oss: a header that names channel and recipient, then the text of that channel.

use std::sync::Arc;

use crate::body::{Context, Step, is_name};
use crate::json::Scanner;
use crate::symbol::{Marker, Symbol};

#[derive(Clone, Debug)]
pub(crate) struct HarmonyForm {
    /// Ends the header.
    pub message: Marker,
    /// Each ends a message.
    pub ends: Vec<Marker>,
}

/// Bytes of a header; a longer one is none.
const MOST_HEADER: usize = 512;
const RECIPIENT: &str = "to=";
const TOOLS: &str = "functions.";
const CHANNEL: &str = "<|channel|>";

#[derive(Debug)]
enum Place {
    Header(String),
    /// Before the arguments of the call of this name.
    Begin(String),
    Arguments(Scanner),
    End,
}

#[derive(Debug)]
pub(crate) struct HarmonyBody {
    form: Arc<HarmonyForm>,
    place: Place,
}

impl HarmonyBody {
    pub fn new(form: Arc<HarmonyForm>) -> Self {
        Self { form, place: Place::Header(String::new()) }
    }

    /// The symbols of the opening marker are part of the header.
    pub fn open(&mut self, symbols: &[Symbol]) {
        if let Place::Header(text) = &mut self.place {
            symbols.iter().for_each(|symbol| symbol.write(text));
        }
    }

    pub fn step(&mut self, symbol: &Symbol, context: &mut Context<'_>) -> Step {
        let is = |marker: &Marker| marker.compare(std::slice::from_ref(symbol)) == Some(true);
        let ends = self.form.ends.iter().any(is);
        match &mut self.place {
            Place::Header(_) if is(&self.form.message) => self.end_header(context),
            Place::Header(text) => {
                symbol.write(text);
                if ends || text.len() > MOST_HEADER { Step::Malformed } else { Step::More }
            }
            Place::Begin(_) | Place::End if symbol.is_space() => Step::More,
            Place::Begin(name) if symbol.char() == Some('{') => {
                context.parts.call(name);
                self.place = Place::Arguments(Scanner::new());
                self.argument('{', context)
            }
            Place::Begin(_) => Step::Malformed,
            Place::Arguments(_) | Place::End if ends => Step::Done,
            Place::Arguments(_) => symbol.char().map_or(Step::Malformed, |c| self.argument(c, context)),
            Place::End => Step::Malformed,
        }
    }

    fn end_header(&mut self, context: &Context<'_>) -> Step {
        let Place::Header(header) = &self.place else { return Step::Malformed };
        let recipient = word_after(header, RECIPIENT);
        match (recipient, word_after(header, CHANNEL)) {
            (Some(recipient), _) => match recipient.strip_prefix(TOOLS) {
                Some(name) if is_name(name) && context.calls => {
                    self.place = Place::Begin(name.to_owned());
                    Step::More
                }
                _ => Step::Malformed,
            },
            (None, Some("analysis")) => Step::Reasoning,
            (None, Some("final" | "commentary")) => Step::Content,
            _ => Step::Malformed,
        }
    }

    fn argument(&mut self, c: char, context: &mut Context<'_>) -> Step {
        let Place::Arguments(scanner) = &mut self.place else { return Step::Malformed };
        let Some(is_whole) = context.pass_on(scanner, c) else { return Step::Malformed };
        if is_whole {
            self.place = Place::End;
        }
        Step::More
    }

    pub fn end(&mut self) -> bool {
        matches!(self.place, Place::Arguments(_) | Place::End)
    }
}

/// The word that follows `mark` in `text`: up to white space or the next token.
fn word_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let end = rest.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(rest.len());
    Some(&rest[..end])
}
