//! A prompt that ends inside of its last message: the answer goes on with what the client wrote.

use super::super::error::TextError;
use super::super::message::ChatMessage;
use super::super::template::{Owner, Part};
use super::super::trace::{Span, Traced};
use super::compose::Placement;

/// Ends the text with what the last message says: its content, or its reasoning where it has no content. White space that
/// the template takes from the end is written all the same, because the client has it.
pub(super) fn cut(traced: &mut Traced, messages: &[ChatMessage]) -> Result<(), TextError> {
    let message = messages.last().ok_or(TextError::NotContinuable)?;
    let reasoning = message.reasoning.as_deref().unwrap_or_default();
    let (part, sent) = if message.content.is_empty() {
        (Part::Reasoning, reasoning)
    } else {
        (Part::Content, &*message.content)
    };
    let is_end = |span: &Span| span.message() == Some(messages.len() - 1) && span.source.part == part;
    let index = traced.spans.iter().rposition(is_end).ok_or(TextError::NotContinuable)?;
    let span = &mut traced.spans[index];
    let written = &traced.text[span.range.clone()];
    let rest = sent.get(span.offset..).and_then(|sent| sent.strip_prefix(written));
    let rest = rest.filter(|rest| rest.trim().is_empty()).ok_or(TextError::NotContinuable)?;
    traced.text.truncate(span.range.end);
    traced.text.push_str(rest);
    span.range.end = traced.text.len();
    traced.spans.truncate(index + 1);
    Ok(())
}

/// Where the last message begins whose text is cut: at `body`, where the body of an answer in its place would begin, or else
/// at its first text.
pub(super) fn beginning(traced: &Traced, last: usize, body: Option<usize>) -> usize {
    let is_own = |span: &&Span| span.source.owner == Owner::Message(last);
    let first = traced.spans.iter().find(is_own).map_or(traced.text.len(), |span| span.range.start);
    body.filter(|body| *body <= first).unwrap_or(first)
}

/// Nothing merges across the beginning of the message, as nothing does across that of an answer: the tokens behind it are
/// the beginning of the record of the whole message. Among `placements`, which are ascending.
pub(super) fn mark_beginning(placements: &mut Vec<Placement<'_>>, last: usize, at: usize) {
    let place = placements.partition_point(|placement| placement.range.start < at);
    let is_marked = placements.get(place).is_some_and(|placement| placement.range.start == at);
    if !is_marked {
        let (range, ids) = (at..at, &[][..]);
        placements
            .insert(place, Placement { message: last, range, text: None, ids, without_reasoning: false });
    }
}
