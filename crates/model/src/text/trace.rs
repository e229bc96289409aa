//! Which bytes of a rendered conversation a client sent.
//!
//! The conversation is rendered twice: as it is, and with marks around every text in it. If the second rendering
//! without its marks is the first one, the marks say where the texts lie. Templates that trim or cut texts need the marks
//! further inside: see [`Wrapping`].

use std::ops::Range;

use super::error::TextError;
use super::marks::{Marks, Nonce, Unmarked};
use super::pace::Pace;
use super::template::{ChatTemplate, Conversation, Owner, Part, RenderOptions, Source};

/// Renderings that are spent on finding the owners whose texts cannot be traced.
const MOST_SEARCHES: usize = 48;

/// What is put between marks, from the most exact to the one that survives most templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    /// The whole text.
    Whole,
    /// The text without the white space at its ends, so that the template can trim it. Words of JSON stay as they are, so
    /// that it can look for them.
    Trimmed,
    /// The trimmed pieces between strings that the template's source names, so that it can split or search by them.
    Pieces,
}

/// Part of the rendered text that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// In the rendered text, in bytes.
    pub range: Range<usize>,
    pub source: Source,
    /// Where the part begins in the text that was sent, in bytes.
    pub offset: usize,
}

impl Span {
    /// The message that it is of.
    pub fn message(&self) -> Option<usize> {
        match self.source.owner {
            Owner::Message(message) => Some(message),
            _ => None,
        }
    }
}

/// A rendered conversation.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub text: String,
    /// Ascending and apart.
    pub spans: Vec<Span>,
    /// Whose texts the template changes beyond tracing: no span is theirs.
    pub untraced: Vec<Owner>,
}

/// Renders `chat` and finds its texts in the result.
pub(crate) fn trace(
    template: &ChatTemplate,
    chat: &Conversation<'_>,
    options: RenderOptions,
    pace: &mut Pace<'_>,
) -> Result<Traced, TextError> {
    let text = template.render(chat, options, &mut |_, text| text.to_owned())?;
    let nonce = Nonce::absent_from(template.source(), &template.texts_of(chat));
    let tracer = Tracer { template, chat, options, nonce };
    for wrapping in [Wrapping::Whole, Wrapping::Trimmed, Wrapping::Pieces] {
        pace.breathe();
        if let Some(spans) = tracer.spans(&text, wrapping, &|_| true) {
            return Ok(Traced { text, spans, untraced: Vec::new() });
        }
    }
    let all = chat.owners();
    let (mut untraced, mut left) = (Vec::new(), MOST_SEARCHES);
    tracer.search(&text, &all, &mut untraced, &mut left, pace);
    match tracer.spans(&text, Wrapping::Pieces, &|owner| !untraced.contains(&owner)) {
        Some(spans) => Ok(Traced { text, spans, untraced }),
        None => Ok(Traced { text, spans: Vec::new(), untraced: all }),
    }
}

/// What the template writes of itself: `chat` rendered with a harmless word in the place of every text of `untraced` that
/// is not blank. Also the spans of the others.
pub(crate) fn skeleton(
    template: &ChatTemplate,
    chat: &Conversation<'_>,
    options: RenderOptions,
    untraced: &[Owner],
) -> Result<(String, Vec<Span>), TextError> {
    let nonce = Nonce::absent_from(template.source(), &template.texts_of(chat));
    let mut marks = Marks::new(&nonce);
    let mut rewrite = |source: Source, text| {
        if !untraced.contains(&source.owner) {
            let ranges = Wrapping::Pieces.ranges(template, source.part, text);
            return marks.wrap(source, text, &ranges);
        }
        let stays = text.trim().is_empty() || source.part == Part::Data && template.is_harmless_word(text);
        if stays { text.to_owned() } else { "x".to_owned() }
    };
    let marked = template.render(chat, options, &mut rewrite)?;
    let unmarked = marks.remove(&marked);
    let detail = || TextError::Failed { detail: "it cuts texts in a way that depends on other texts".into() };
    let unmarked = unmarked.ok_or_else(detail)?;
    let spans = join(&unmarked, &marks);
    Ok((unmarked.text, spans))
}

struct Tracer<'t> {
    template: &'t ChatTemplate,
    chat: &'t Conversation<'t>,
    options: RenderOptions,
    nonce: Nonce,
}

impl Tracer<'_> {
    /// The spans of the owners that `is_marked` names; `None` if a template that is given marks writes another text than
    /// `text`.
    fn spans(&self, text: &str, wrapping: Wrapping, is_marked: &dyn Fn(Owner) -> bool) -> Option<Vec<Span>> {
        let mut marks = Marks::new(&self.nonce);
        let mut rewrite = |source: Source, text| {
            if !is_marked(source.owner) {
                return str::to_owned(text);
            }
            marks.wrap(source, text, &wrapping.ranges(self.template, source.part, text))
        };
        // A template may refuse what is wrapped, for example for its length.
        let marked = self.template.render(self.chat, self.options, &mut rewrite).ok()?;
        let unmarked = marks.remove(&marked).filter(|unmarked| unmarked.text == text)?;
        Some(join(&unmarked, &marks))
    }

    /// Adds to `found` those of `owners` whose texts cannot be traced; halves them as long as `left` renderings are left,
    /// and then takes them all.
    fn search(
        &self,
        text: &str,
        owners: &[Owner],
        found: &mut Vec<Owner>,
        left: &mut usize,
        pace: &mut Pace<'_>,
    ) {
        pace.breathe();
        if *left == 0 {
            found.extend_from_slice(owners);
            return;
        }
        *left -= 1;
        let is_marked = |owner: Owner| owners.contains(&owner);
        if self.spans(text, Wrapping::Pieces, &is_marked).is_some() {
            return;
        }
        if let [one] = owners {
            found.push(*one);
            return;
        }
        let (front, back) = owners.split_at(owners.len() / 2);
        self.search(text, front, found, left, pace);
        self.search(text, back, found, left, pace);
    }
}

impl Wrapping {
    /// The parts of `text` to be marked, in bytes, none of them empty.
    fn ranges(self, template: &ChatTemplate, part: Part, text: &str) -> Vec<Range<usize>> {
        if self == Wrapping::Whole {
            return Vec::from_iter((!text.is_empty()).then_some(0..text.len()));
        }
        if part == Part::Data && template.is_harmless_word(text) {
            return Vec::new();
        }
        let parts = between(text, if self == Wrapping::Pieces { template.literals() } else { &[] });
        parts.into_iter().map(|range| trimmed(text, range)).filter(|range| !range.is_empty()).collect()
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// The parts of `text` between occurrences of `literals`, the leftmost first and of those the longest.
fn between(text: &str, literals: &[String]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = literals
        .iter()
        .flat_map(|literal| text.match_indices(literal.as_str()).map(|(at, literal)| at..at + literal.len()))
        .collect();
    found.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let (mut parts, mut at) = (Vec::new(), 0);
    for literal in found {
        if literal.start >= at {
            parts.push(at..literal.start);
            at = literal.end;
        }
    }
    parts.push(at..text.len());
    parts
}

/// Makes one span of neighbouring pieces of one text where what lies between them is that text's too.
fn join(unmarked: &Unmarked, marks: &Marks<'_, '_>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut last: Option<usize> = None;
    for (range, index) in &unmarked.parts {
        let piece = &marks.pieces[*index];
        let before = last.filter(|last| last + 1 == *index).map(|last| &marks.pieces[last]);
        match (spans.last_mut(), before) {
            (Some(span), Some(before))
                if before.number == piece.number
                    && unmarked.text[span.range.end..range.start]
                        == piece.text[before.range.end..piece.range.start] =>
            {
                span.range.end = range.end;
            }
            _ => spans.push(Span { range: range.clone(), source: piece.source, offset: piece.range.start }),
        }
        last = Some(*index);
    }
    spans
}
