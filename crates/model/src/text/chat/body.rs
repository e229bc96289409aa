//! Stored ids in the place of a whole answer: its reasoning, its calls and their markers, which a template writes in its own
//! way. The **body** of an assistant's message is what lies between the generation prompt and the end of the turn.

use super::super::message::{ChatMessage, Ending};
use super::super::pace::Pace;
use super::super::template::{Conversation, Owner, Part, RenderOptions};
use super::super::tokenizer::Tokenizer;
use super::super::trace::{Span, Traced};
use super::super::utf8::Utf8Stream;
use super::compose::Placement;
use super::parts::Encoder;
use super::spans::blank_ids;

/// Renderings that are spent on finding where bodies begin; further bodies begin as those that were found do.
const MOST_RENDERINGS: usize = 16;

/// Finds the bodies of one conversation.
pub(super) struct Bodies<'t, 'a> {
    encoder: &'t Encoder<'t>,
    chat: &'t Conversation<'a>,
    options: RenderOptions,
    traced: &'t Traced,
    /// What the template writes between a message and the body of the answer to it, by the message's kind. An id that the
    /// template writes there is left out: [`ID`] stands for it.
    openings: Vec<(Kind<'a>, String)>,
    renderings: usize,
}

/// Stands for the id of a tool's message in what is written behind its content; no template writes it.
const ID: &str = "\0";

/// Messages of one kind are ended in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind<'a> {
    role: &'a str,
    calls: bool,
}

impl<'t, 'a> Bodies<'t, 'a> {
    pub fn new(
        encoder: &'t Encoder<'t>,
        chat: &'t Conversation<'a>,
        options: RenderOptions,
        traced: &'t Traced,
    ) -> Self {
        Self { encoder, chat, options, traced, openings: Vec::new(), renderings: 0 }
    }

    /// Places a stored answer that has more than content. `None`: it has none, or the template does not write here what
    /// the answer says.
    pub fn place(&mut self, message: usize, pace: &mut Pace<'_>) -> Option<Placement<'a>> {
        let tokenizer = self.encoder.tokenizer;
        let sent = &self.chat.messages()[message];
        let stored = sent.stored.as_ref()?;
        let has_marker = stored.ids.iter().any(|id| tokenizer.token_bytes(*id).is_none());
        // A special token that is no marker of the model's format is no part of an answer.
        let is_foreign =
            |id: &u32| tokenizer.is_special(*id) && !self.encoder.format.tokens().contains_key(id);
        let is_plain = sent.tool_calls.is_empty() && stored.reasoning == 0 && !has_marker;
        if is_plain || stored.ids.iter().any(is_foreign) {
            return None;
        }
        let start = self.start(message, pace)?;
        let range = start..self.end(message, start)?;
        let body = &self.traced.text[range.clone()];
        let (reasoning, _) = stored.ids.split_at_checked(stored.reasoning)?;
        let keeps = alike(body, &decoded(tokenizer, reasoning)).is_some();
        if !keeps && self.shows_reasoning(message) {
            return None;
        }
        let from = if keeps { 0 } else { self.behind_reasoning(&stored.ids, stored.reasoning, start) };
        let ids = &stored.ids[from..];
        let text = decoded(tokenizer, ids);
        let without_reasoning = !keeps;
        let range = if sent.tool_calls.is_empty() {
            // Content behind what the ids cover stays, and so does what closes reasoning that was broken off.
            start..start + alike(body, &text).filter(|_| keeps)?
        } else {
            let names_all = sent.tool_calls.iter().all(|call| text.contains(&call.name));
            if !stored.whole || !names_all {
                return None;
            }
            range
        };
        Some(Placement { message, range, text: Some(text), ids, without_reasoning })
    }

    /// Where the body begins: the conversation before it, rendered with a generation prompt, must be how all of it begins.
    pub fn start(&mut self, message: usize, pace: &mut Pace<'_>) -> Option<usize> {
        let Traced { text, spans, .. } = self.traced;
        let before = spans.iter().rfind(|span| span.message().is_some_and(|of| of < message));
        let end = before.filter(|span| span.message() == message.checked_sub(1)).map(|span| span.range.end);
        let asked = message.checked_sub(1).map(|before| &self.chat.messages()[before]);
        let kind = asked.map(kind);
        let id =
            asked.and_then(|asked| asked.tool_call_id.as_deref()).filter(|id| !id.is_empty()).unwrap_or(ID);
        if let Some((end, kind)) = end.zip(kind.clone()) {
            let known = self.openings.iter().filter(|(of, _)| *of == kind);
            let mut known = known.map(|(_, opening)| opening.replace(ID, id));
            let opening = known.find(|opening| text[end..].starts_with(opening));
            if let Some(opening) = opening {
                return Some(end + opening.len());
            }
        }
        if self.renderings == MOST_RENDERINGS {
            return None;
        }
        self.renderings += 1;
        pace.breathe();
        let options = RenderOptions { ending: Ending::Answer, ..self.options };
        let until = self.chat.until(message);
        let prompt = self.encoder.template.render(&until, options, &mut |_, text| text.to_owned()).ok()?;
        let start = text.starts_with(&prompt).then_some(prompt.len())?;
        if let Some((end, kind)) = end.zip(kind).filter(|(end, _)| *end <= start) {
            self.openings.push((kind, text[end..start].replace(id, ID)));
        }
        Some(start)
    }

    /// Where the body ends: at the token with which the template ends the turn, behind all that was sent of the message.
    fn end(&self, message: usize, start: usize) -> Option<usize> {
        let Traced { text, spans, .. } = self.traced;
        let is_own = |span: &&Span| span.source.owner == Owner::Message(message);
        let (first, last) = (spans.iter().find(is_own), spans.iter().rfind(is_own));
        if first.is_some_and(|span| span.range.start < start) {
            return None;
        }
        // The last message has no end where the answer goes on with it.
        if self.options.ending == Ending::Open && message + 1 == self.chat.messages().len() {
            return Some(text.len());
        }
        let from = last.map_or(start, |span| span.range.end);
        let limit =
            spans.iter().find(|span| span.range.start >= from).map_or(text.len(), |span| span.range.start);
        let Encoder { tokenizer, turn_ends, format, .. } = self.encoder;
        // A message of several parts begins each of them as the generation prompt begins.
        let before = spans.partition_point(|span| span.range.end <= start);
        let opening = &text[before.checked_sub(1).map_or(0, |last| spans[last].range.end)..start];
        let begin = tokenizer.split_added(opening).into_iter().rfind(|(id, _)| id.is_some());
        let begin = begin.map_or("", |(_, range)| &opening[range.start..]);
        let goes_on = |id: u32, end: usize| {
            format.goes_on_after(id) && !begin.is_empty() && text[end..].starts_with(begin)
        };
        let own = tokenizer.split_added(&text[from..limit]).into_iter();
        let mut own = own.filter_map(|(id, range)| Some((id?, from + range.start..from + range.end)));
        let end = own.find(|(id, range)| turn_ends.contains(id) && !goes_on(*id, range.end));
        end.map(|(_, range)| range.start)
    }

    /// Whether the template writes reasoning that was sent with the message.
    fn shows_reasoning(&self, message: usize) -> bool {
        let is_shown =
            |span: &Span| span.source.owner == Owner::Message(message) && span.source.part == Part::Reasoning;
        self.traced.spans.iter().any(is_shown)
    }

    /// The first id behind the reasoning, the white space after it, and the generation prompt where the answer repeats it.
    fn behind_reasoning(&self, ids: &[u32], reasoning: usize, start: usize) -> usize {
        let tokenizer = self.encoder.tokenizer;
        let from = reasoning + blank_ids(tokenizer, &ids[reasoning..]);
        let is_marker = ids.get(from).is_some_and(|id| tokenizer.token_bytes(*id).is_none());
        let before = &self.traced.text[..start];
        let repeats = |end: &usize| before.ends_with(&decoded(tokenizer, &ids[from..*end]));
        let most = ids.len().min(from + 8);
        (from + 1..=most).rev().find(repeats).filter(|_| is_marker).unwrap_or(from)
    }
}

fn kind(message: &ChatMessage) -> Kind<'_> {
    Kind { role: &message.role, calls: !message.tool_calls.is_empty() }
}

/// The text of generated ids, special tokens by their names.
fn decoded(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let (mut stream, mut text) = (Utf8Stream::default(), String::new());
    for id in ids {
        stream.push(tokenizer.token_bytes(*id).unwrap_or_else(|| tokenizer.raw_token_bytes(*id)), &mut text);
    }
    text
}

/// How many bytes at the front of `text` say what `answer` says, white space aside, with the white space at the end that
/// both have; `None` if the front says something else.
fn alike(text: &str, answer: &str) -> Option<usize> {
    let solid = |text: &str| text.find(|char: char| !char.is_whitespace()).unwrap_or(text.len());
    let (mut text_at, mut answer_at) = (0, 0);
    loop {
        let (blank, answer_blank) = (solid(&text[text_at..]), solid(&answer[answer_at..]));
        if answer_at + answer_blank == answer.len() {
            let (rest, own) = (&text[text_at..text_at + blank], &answer[answer_at..]);
            let both = rest.chars().zip(own.chars()).take_while(|(a, b)| a == b);
            return Some(text_at + both.map(|(char, _)| char.len_utf8()).sum::<usize>());
        }
        (text_at, answer_at) = (text_at + blank, answer_at + answer_blank);
        let (a, b) = (text[text_at..].chars().next()?, answer[answer_at..].chars().next()?);
        if a != b {
            return None;
        }
        (text_at, answer_at) = (text_at + a.len_utf8(), answer_at + b.len_utf8());
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn texts_are_alike_where_only_white_space_differs() {
        assert_eq!(alike("<think>\na b\n</think>\n\nc d<end>", "<think> a b </think>"), Some(20));
        assert_eq!(alike("ab  \n", "a b  "), Some(4));
        assert_eq!(alike("anything", ""), Some(0));
        assert_eq!(alike("ab", "abc"), None);
        assert_eq!(alike("ab", "ac"), None);
        assert_eq!(alike("é ü!", "éü"), Some(5));
    }
}
