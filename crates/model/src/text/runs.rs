//! A rendered text cut into what is encoded in one go: special tokens, stored ids, and the plain stretches between.

use std::ops::Range;

use super::error::TextError;
use super::pace::Pace;
use super::plain::Stretch;
use super::tokenizer::Tokenizer;

/// Ids that stand for a range of the text because they generated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRun<'a> {
    pub range: Range<usize>,
    pub ids: &'a [u32],
}

/// A text with what is known about its parts. Ranges are in bytes, ascending, and do not overlap one another.
#[derive(Clone, Debug)]
pub(crate) struct Layout<'a> {
    pub text: &'a str,
    /// Where no special token may be found: what users wrote.
    pub untrusted: Vec<Range<usize>>,
    pub stored: Vec<StoredRun<'a>>,
    /// A place in the text: how many tokens end at or before it is asked for.
    pub mark: usize,
}

/// The tokens of a [`Layout`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub tokens: Vec<u32>,
    /// Tokens that end at or before the mark.
    pub before_mark: usize,
    /// For each stored run, which tokens are its.
    pub stored: Vec<Range<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    Plain(Range<usize>),
    Special {
        id: u32,
        range: Range<usize>,
    },
    /// Index into [`Layout::stored`].
    Stored(usize),
}

impl Layout<'_> {
    /// Encodes the text. A plain stretch reaches from one special token or stored run to the next, through
    /// template text and users' text alike, so that bytes merge across their borders as in the whole text.
    ///
    /// A text whose length alone says that it has more tokens than `pace` allows is refused before anything is encoded.
    pub fn encode(&self, tokenizer: &Tokenizer, pace: &mut Pace<'_>) -> Result<Encoded, TextError> {
        let mut encoded = Encoded::default();
        let mut after_stored = false;
        let runs = self.runs(tokenizer);
        let fewest: Vec<usize> = runs.iter().map(|run| self.fewest_tokens(run, tokenizer)).collect();
        pace.expect(fewest.iter().sum())?;
        for (run, fewest) in runs.into_iter().zip(fewest) {
            let before = encoded.tokens.len();
            pace.begin(fewest);
            match &run {
                Run::Plain(range) => {
                    let place = match (range.start, after_stored) {
                        (_, true) => Stretch::Continuing,
                        (0, _) => Stretch::First,
                        _ => Stretch::AfterSpecial,
                    };
                    self.encode_plain(tokenizer, range.clone(), place, &mut encoded, pace)?;
                }
                Run::Special { id, range } => encoded.add(&[*id], range.end <= self.mark),
                Run::Stored(index) => {
                    let stored = &self.stored[*index];
                    encoded.add(stored.ids, stored.range.end <= self.mark);
                    encoded.stored.push(before..encoded.tokens.len());
                }
            }
            pace.end(encoded.tokens.len() - before)?;
            after_stored = matches!(run, Run::Stored(_));
        }
        Ok(encoded)
    }

    fn fewest_tokens(&self, run: &Run, tokenizer: &Tokenizer) -> usize {
        match run {
            Run::Plain(range) => tokenizer.fewest_tokens_of(&self.text[range.clone()]),
            Run::Special { .. } => 1,
            Run::Stored(index) => self.stored[*index].ids.len(),
        }
    }

    fn encode_plain(
        &self,
        tokenizer: &Tokenizer,
        range: Range<usize>,
        place: Stretch,
        encoded: &mut Encoded,
        pace: &mut Pace<'_>,
    ) -> Result<(), TextError> {
        let text = &self.text[range.clone()];
        let ids = tokenizer.plain().encode(text, place, pace)?;
        if range.start < self.mark && self.mark < range.end {
            let before = tokens_within(tokenizer, &ids, &text[..self.mark - range.start]);
            encoded.before_mark = encoded.tokens.len() + before;
            encoded.tokens.extend(ids);
        } else {
            encoded.add(&ids, range.end <= self.mark);
        }
        Ok(())
    }

    fn runs(&self, tokenizer: &Tokenizer) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut at = 0;
        for (index, stored) in self.stored.iter().enumerate() {
            self.cut(tokenizer, at..stored.range.start, &mut runs);
            runs.push(Run::Stored(index));
            at = stored.range.end;
        }
        self.cut(tokenizer, at..self.text.len(), &mut runs);
        runs.retain(|run| !matches!(run, Run::Plain(range) if range.is_empty()));
        runs
    }

    /// Cuts a part of the text without stored runs.
    fn cut(&self, tokenizer: &Tokenizer, part: Range<usize>, runs: &mut Vec<Run>) {
        let mut at = part.start;
        let first = self.untrusted.partition_point(|range| range.end <= part.start);
        for range in self.untrusted[first..].iter().take_while(|range| range.start < part.end) {
            let (start, end) = (range.start.max(at), range.end.min(part.end));
            self.cut_trusted(tokenizer, at..start, runs);
            push_plain(runs, start..end, tokenizer, self.text);
            at = end;
        }
        self.cut_trusted(tokenizer, at..part.end, runs);
    }

    fn cut_trusted(&self, tokenizer: &Tokenizer, part: Range<usize>, runs: &mut Vec<Run>) {
        if part.is_empty() {
            return;
        }
        for (id, range) in tokenizer.split_added(&self.text[part.clone()]) {
            let range = part.start + range.start..part.start + range.end;
            match id {
                Some(id) => push_special(runs, id, range, tokenizer, self.text),
                None => push_plain(runs, range, tokenizer, self.text),
            }
        }
    }
}

/// Adds plain text, joined to plain text before it. White space after a special token that swallows it goes.
fn push_plain(runs: &mut Vec<Run>, mut range: Range<usize>, tokenizer: &Tokenizer, text: &str) {
    match runs.last_mut() {
        Some(Run::Plain(last)) if last.end == range.start => last.end = range.end,
        Some(Run::Special { id, range: special })
            if special.end == range.start && tokenizer.strips_right(*id) =>
        {
            let swallowed = range.len() - text[range.clone()].trim_start().len();
            special.end += swallowed;
            range.start += swallowed;
            if !range.is_empty() {
                runs.push(Run::Plain(range));
            }
        }
        _ => runs.push(Run::Plain(range)),
    }
}

/// Adds a special token. White space before one that swallows it goes.
fn push_special(runs: &mut Vec<Run>, id: u32, range: Range<usize>, tokenizer: &Tokenizer, text: &str) {
    if let Some(Run::Plain(last)) = runs.last_mut()
        && tokenizer.strips_left(id)
    {
        last.end = last.start + text[last.clone()].trim_end().len();
    }
    runs.push(Run::Special { id, range });
}

/// How many of `ids` lie within `beginning`, the beginning of the text they encode. A space that the tokenizer put in
/// front is not counted; where it changes lengths otherwise (NFC), the result may be off by what that changes.
fn tokens_within(tokenizer: &Tokenizer, ids: &[u32], beginning: &str) -> usize {
    let first = ids.first().map_or(&[][..], |id| tokenizer.raw_token_bytes(*id));
    let added_space = first.starts_with(b" ") && !beginning.starts_with(' ');
    let room = beginning.len() + usize::from(added_space);
    let lengths = ids.iter().map(|id| tokenizer.raw_token_bytes(*id).len());
    let ends = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    ends.take_while(|end| *end <= room).count()
}

impl Encoded {
    fn add(&mut self, ids: &[u32], before_mark: bool) {
        self.tokens.extend_from_slice(ids);
        if before_mark {
            self.before_mark = self.tokens.len();
        }
    }
}
