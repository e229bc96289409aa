//! Stored ids in the place of an answer's content: the template writes the content as it is, and nothing else changes.

use std::ops::Range;

use super::super::message::{ChatMessage, StoredAnswer};
use super::super::template::{Owner, Part};
use super::super::tokenizer::Tokenizer;
use super::super::trace::{Span, Traced};
use super::super::utf8::Utf8Stream;
use super::compose::Placement;
use super::parts::Encoder;

/// Of a message's stored answer the longest run of ids is taken whose decoding is what the text says at its content: a
/// template may have trimmed the end. Where none can be taken, a run without ids still marks where the answer began,
/// because nothing before it was merged with it when it was generated.
///
/// `given`: reasoning that the generation prompt writes itself. An answer that does not stand behind it was generated behind it all the
/// same.
pub(super) fn place<'a>(
    encoder: &Encoder<'_>,
    sent: &'a ChatMessage,
    traced: &Traced,
    message: usize,
    given: Option<&str>,
) -> Option<Placement<'a>> {
    let stored = sent.stored.as_ref()?;
    let tokenizer = encoder.tokenizer;
    let from = content_start(tokenizer, sent, stored);
    let skipped: usize = stored.ids[..from].iter().map(|id| tokenizer.raw_token_bytes(*id).len()).sum();
    let (ids, bytes) = (&stored.ids[from..], stored.covered_bytes.saturating_sub(skipped));
    let spans = &traced.spans;
    let is_own =
        |span: &Span| span.source.owner == Owner::Message(message) && span.source.part == Part::Content;
    let runs = spans.iter().enumerate().filter(|(_, span)| is_own(span)).filter_map(|(index, span)| {
        let room = index.checked_sub(1).map_or(0, |before| spans[before].range.end)
            ..spans.get(index + 1).map_or(traced.text.len(), |after| after.range.start);
        let room_start = room.start;
        let range = range_of_content(&traced.text, span, &sent.content, room)?;
        let until = |start: usize| start..range.end.min(start.saturating_add(bytes));
        let (count, end) = matching_prefix(tokenizer, ids, &traced.text, until(range.start));
        // Of a message that was begun by the client, the first token may have white space that the template writes.
        let early =
            blank_start(tokenizer, ids, &traced.text, range.start).filter(|early| *early >= room_start);
        if let Some(early) = early.filter(|_| count == 0) {
            let (count, end) = matching_prefix(tokenizer, ids, &traced.text, until(early));
            return (count > 0).then_some((early..end, count)).or(Some((range.start..range.start, 0)));
        }
        Some((range.start..end, count))
    });
    let mut best: Option<(Range<usize>, usize)> = None;
    for run in runs {
        let is_better = best.as_ref().is_none_or(|(_, count)| *count == 0 && run.1 > 0);
        best = if is_better { Some(run) } else { best };
    }
    let (range, count) = best?;
    let before = traced.text[..range.start].trim_end();
    let without_reasoning = stored.reasoning > 0 || given.is_some_and(|given| !before.ends_with(given));
    Some(Placement { message, range, text: None, ids: &ids[..count], without_reasoning })
}

/// The first of the ids that can be the content's: behind reasoning, markers, and the white space after them.
fn content_start(tokenizer: &Tokenizer, message: &ChatMessage, stored: &StoredAnswer) -> usize {
    let ids = &stored.ids;
    let is_marker = |id: &u32| tokenizer.token_bytes(*id).is_none();
    let marker = ids.iter().rposition(is_marker).filter(|_| message.tool_calls.is_empty());
    let from = stored.reasoning.max(marker.map_or(0, |at| at + 1)).min(ids.len());
    if from == 0 { 0 } else { from + blank_ids(tokenizer, &ids[from..]) }
}

/// How many ids at the front are white space alone.
pub(super) fn blank_ids(tokenizer: &Tokenizer, ids: &[u32]) -> usize {
    let is_blank = |id: &&u32| tokenizer.token_bytes(**id).is_some_and(|bytes| bytes.trim_ascii().is_empty());
    ids.iter().take_while(is_blank).count()
}

/// Where a span's content can lie in the text when it is read from its first byte: what was left unmarked before
/// the span (white space that may be trimmed) must be there, and white space after it may be. `room` is the place
/// that no other span takes.
fn range_of_content(text: &str, span: &Span, content: &str, room: Range<usize>) -> Option<Range<usize>> {
    let offset = span.offset;
    let start = span.range.start.checked_sub(offset).filter(|start| *start >= room.start)?;
    if text.get(start..span.range.start)? != content.get(..offset)? {
        return None;
    }
    let after = &text[span.range.end..room.end];
    Some(start..span.range.end + after.len() - after.trim_start().len())
}

/// Where the white space with which the first of `ids` begins lies right before `start`; `None` where it does not.
fn blank_start(tokenizer: &Tokenizer, ids: &[u32], text: &str, start: usize) -> Option<usize> {
    let bytes = tokenizer.token_bytes(*ids.first()?)?;
    let blank = &bytes[..bytes.len() - bytes.trim_ascii_start().len()];
    let is_there = !blank.is_empty() && text.as_bytes()[..start].ends_with(blank);
    is_there.then_some(start - blank.len())
}

/// The longest prefix of `ids` whose decoding lies in `range` of the text, and where it ends there.
fn matching_prefix(tokenizer: &Tokenizer, ids: &[u32], text: &str, range: Range<usize>) -> (usize, usize) {
    let rest = &text.as_bytes()[range.clone()];
    let (mut stream, mut decoded) = (Utf8Stream::default(), String::new());
    let (mut matched, mut found) = (0, (0, range.start));
    for (index, id) in ids.iter().enumerate() {
        let Some(bytes) = tokenizer.token_bytes(*id) else { break };
        stream.push(bytes, &mut decoded);
        if rest.get(matched..decoded.len()) != Some(&decoded.as_bytes()[matched..]) {
            break;
        }
        matched = decoded.len();
        if stream.is_clean() {
            found = (index + 1, range.start + matched);
        }
    }
    found
}
