//! Which bytes of a rendered conversation come from its messages.
//!
//! The conversation is rendered twice: as it is, and with marks around every content. If the second rendering
//! without its marks is the first one, the marks say where the contents lie. Templates that trim or cut contents
//! need the marks further inside: see [`Wrapping`].

use std::ops::Range;

use super::error::TextError;
use super::marks::{Marks, Nonce, Unmarked};
use super::pace::Pace;
use super::template::{ChatTemplate, RenderOptions, TemplateMessage};

/// What is put between marks, from the most exact to the one that survives most templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    /// The whole text.
    Whole,
    /// The text without the white space at its ends, so that the template can trim it.
    Trimmed,
    /// The trimmed pieces between strings that the template's source names, so that it can split or search by them.
    Pieces,
}

/// Part of the rendered text that comes from a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// In the rendered text, in bytes.
    pub range: Range<usize>,
    /// Index of the message.
    pub message: usize,
    /// Where the part begins in the message's content, in bytes; `None` for a part of its name.
    pub offset: Option<usize>,
}

/// A rendered conversation.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub text: String,
    /// Ascending and apart; `None` if the template changes contents beyond tracing.
    pub spans: Option<Vec<Span>>,
}

/// Renders `messages` and finds them in the result.
pub(crate) fn trace(
    template: &ChatTemplate,
    messages: &[TemplateMessage<'_>],
    options: RenderOptions,
    pace: &mut Pace<'_>,
) -> Result<Traced, TextError> {
    let text = template.render(messages, options)?;
    let nonce = Nonce::absent_from(template.source(), messages);
    for wrapping in [Wrapping::Whole, Wrapping::Trimmed, Wrapping::Pieces] {
        pace.breathe();
        let mut marks = Marks::new(&nonce);
        let wrapped = rewrite(messages, |message, is_name, text| {
            marks.wrap(message, is_name, text, &wrapping.ranges(text, template.literals()))
        });
        // A template may refuse what is wrapped, for example for its length: then the next way is tried.
        let Ok(marked) = template.render(&views(messages, &wrapped), options) else { continue };
        if let Some(unmarked) = marks.remove(&marked)
            && unmarked.text == text
        {
            let spans = join(&unmarked, &marks, messages);
            return Ok(Traced { text, spans: Some(spans) });
        }
    }
    Ok(Traced { text, spans: None })
}

/// What the template writes of itself: `messages` rendered with a harmless word in the place of every text that is not
/// blank.
pub(crate) fn skeleton(
    template: &ChatTemplate,
    messages: &[TemplateMessage<'_>],
    options: RenderOptions,
) -> Result<String, TextError> {
    let harmless = |text: &str| if text.trim().is_empty() { text.to_owned() } else { "x".to_owned() };
    let emptied = rewrite(messages, |_, _, text| harmless(text));
    template.render(&views(messages, &emptied), options)
}

/// Content and name of a message, rewritten.
type Rewritten = (String, Option<String>);

fn rewrite(
    messages: &[TemplateMessage<'_>],
    mut change: impl FnMut(usize, bool, &str) -> String,
) -> Vec<Rewritten> {
    let mut of_message = |(index, message): (usize, &TemplateMessage<'_>)| {
        (change(index, false, message.content), message.name.map(|name| change(index, true, name)))
    };
    messages.iter().enumerate().map(&mut of_message).collect()
}

fn views<'a>(messages: &[TemplateMessage<'a>], rewritten: &'a [Rewritten]) -> Vec<TemplateMessage<'a>> {
    let view = |(message, (content, name)): (&TemplateMessage<'a>, &'a Rewritten)| TemplateMessage {
        role: message.role,
        content,
        name: name.as_deref(),
    };
    messages.iter().zip(rewritten).map(view).collect()
}

impl Wrapping {
    /// The parts of `text` to be marked, in bytes, none of them empty.
    fn ranges(self, text: &str, literals: &[String]) -> Vec<Range<usize>> {
        let parts = match self {
            Wrapping::Whole => return Vec::from_iter((!text.is_empty()).then_some(0..text.len())),
            Wrapping::Trimmed => between(text, &[]),
            Wrapping::Pieces => between(text, literals),
        };
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
fn join(unmarked: &Unmarked, marks: &Marks<'_>, messages: &[TemplateMessage<'_>]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut last: Option<usize> = None;
    for (range, index) in &unmarked.parts {
        let piece = &marks.pieces[*index];
        let before = last.filter(|last| last + 1 == *index).map(|last| &marks.pieces[last]);
        let message = &messages[piece.message];
        let text = if piece.is_name { message.name.unwrap_or("") } else { message.content };
        match (spans.last_mut(), before) {
            (Some(span), Some(before))
                if before.message == piece.message
                    && before.is_name == piece.is_name
                    && unmarked.text[span.range.end..range.start]
                        == text[before.range.end..piece.range.start] =>
            {
                span.range.end = range.end;
            }
            _ => spans.push(Span {
                range: range.clone(),
                message: piece.message,
                offset: (!piece.is_name).then_some(piece.range.start),
            }),
        }
        last = Some(*index);
    }
    spans
}
