//! The text of a prompt, put together from what the template rendered and from the texts of stored answers.

use std::ops::Range;

use super::super::runs::{Layout, StoredRun};
use super::super::trace::Traced;

/// Stored ids that stand for a part of the rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement<'a> {
    pub message: usize,
    /// In the rendered text, in bytes.
    pub range: Range<usize>,
    /// What stands there: the decoding of `ids`. `None`: the rendered text is that.
    pub text: Option<String>,
    pub ids: &'a [u32],
    /// The answer's reasoning was left out before it.
    pub without_reasoning: bool,
}

/// A text, and what is known about its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Composed<'a> {
    pub text: String,
    untrusted: Vec<Range<usize>>,
    stored: Vec<StoredRun<'a>>,
    mark: Option<usize>,
    /// Those that are in the text, ascending; each is one stored run.
    pub placements: Vec<Placement<'a>>,
}

/// Puts `placements` (ascending) in their places; one that reaches into the one before it is left out. `mark` is a place
/// in the rendered text.
pub(super) fn compose<'a>(traced: &Traced, placements: Vec<Placement<'a>>, mark: usize) -> Composed<'a> {
    let mut composed = Composed { text: String::with_capacity(traced.text.len()), ..Composed::default() };
    let mut at = 0;
    for placement in placements {
        if placement.range.start >= at {
            composed.keep(traced, at..placement.range.start, mark);
            at = placement.range.end;
            composed.put(traced, placement, mark);
        }
    }
    composed.keep(traced, at..traced.text.len(), mark);
    composed
}

impl<'a> Composed<'a> {
    pub fn layout(&self) -> Layout<'_> {
        Layout {
            text: &self.text,
            untrusted: self.untrusted.clone(),
            stored: self.stored.clone(),
            mark: self.mark.unwrap_or(self.text.len()),
        }
    }

    fn keep(&mut self, traced: &Traced, part: Range<usize>, mark: usize) {
        let shift = self.text.len();
        self.text.push_str(&traced.text[part.clone()]);
        if (part.start..=part.end).contains(&mark) {
            self.mark.get_or_insert(shift + mark - part.start);
        }
        let first = traced.spans.partition_point(|span| span.range.end <= part.start);
        for span in traced.spans[first..].iter().take_while(|span| span.range.start < part.end) {
            let (start, end) = (span.range.start.max(part.start), span.range.end.min(part.end));
            self.untrusted.push(shift + start - part.start..shift + end - part.start);
        }
    }

    fn put(&mut self, traced: &Traced, placement: Placement<'a>, mark: usize) {
        let start = self.text.len();
        if placement.range.contains(&mark) {
            self.mark.get_or_insert(start);
        }
        let rendered = &traced.text[placement.range.clone()];
        self.text.push_str(placement.text.as_deref().unwrap_or(rendered));
        self.stored.push(StoredRun { range: start..self.text.len(), ids: placement.ids });
        self.placements.push(placement);
    }
}
