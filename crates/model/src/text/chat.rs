//! Conversations to tokens (`docs/architecture.md`, third idea): template text may become special tokens, users' text
//! never does, and an answer keeps the tokens it was generated with.

use std::ops::Range;

use super::error::TextError;
use super::pace::Pace;
use super::runs::{Layout, StoredRun};
use super::template::{ChatDate, ChatTemplate, RenderOptions, TemplateMessage};
use super::tokenizer::Tokenizer;
use super::trace::{Span, Traced, skeleton, trace};
use super::utf8::Utf8Stream;

/// The tokens that an assistant's message was generated with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The tokens that lie wholly inside the text, as [`super::FinishedText::inside_tokens`] counts them.
    pub ids: Vec<u32>,
    /// Length of their decoding in bytes; the message's content begins with it.
    pub covered_bytes: usize,
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatMessage {
    /// Lower-case letters and `_`; it is trusted as the template's own text is.
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    pub stored: Option<StoredAnswer>,
}

/// A conversation to be answered.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    pub messages: &'a [ChatMessage],
    /// Ends the prompt with the beginning of an assistant's message.
    pub add_generation_prompt: bool,
    /// The date that the template gets to see.
    pub date: ChatDate,
}

/// A conversation's tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPrompt {
    pub tokens: Vec<u32>,
    /// Tokens before the first message that is no leading system message: the head that a view keeps.
    pub system_tokens: usize,
    /// For every message, how many of its stored tokens were taken.
    pub stored_tokens: Vec<usize>,
    /// The rendered text, which the tokens decode to.
    pub text: String,
}

/// Renders and encodes a conversation. Its length is judged by the rendered text: a template may leave contents out.
pub(crate) fn encode_chat(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    request: &ChatRequest<'_>,
    pace: &mut Pace<'_>,
) -> Result<EncodedPrompt, TextError> {
    check_roles(request.messages)?;
    let options = RenderOptions { add_generation_prompt: request.add_generation_prompt, date: request.date };
    let views: Vec<TemplateMessage<'_>> = request
        .messages
        .iter()
        .map(|m| TemplateMessage { role: &m.role, content: &m.content, name: m.name.as_deref() })
        .collect();
    let Traced { text, spans } = trace(template, &views, options, pace)?;
    let Some(spans) = spans else {
        return encode_untraced(tokenizer, template, &views, options, text, pace);
    };
    pace.breathe();
    let mut stored_tokens = vec![0; request.messages.len()];
    let stored = place_stored(tokenizer, request.messages, &text, &spans, &mut stored_tokens);
    let layout = Layout {
        text: &text,
        untrusted: spans.iter().map(|span| span.range.clone()).collect(),
        stored,
        mark: end_of_system(request.messages, &spans, text.len()),
    };
    let encoded = layout.encode(tokenizer, pace)?;
    let (tokens, system_tokens) = (encoded.tokens, encoded.before_mark);
    Ok(EncodedPrompt { tokens, system_tokens, stored_tokens, text })
}

fn check_roles(messages: &[ChatMessage]) -> Result<(), TextError> {
    let is_word = |role: &str| {
        (1..=32).contains(&role.len()) && role.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    match messages.iter().position(|message| !is_word(&message.role)) {
        Some(message) => Err(TextError::Role { message, role: messages[message].role.clone() }),
        None => Ok(()),
    }
}

/// Encodes a text whose parts could not be traced, trusting all of it, if that cannot do harm: the special tokens
/// in it must be those that the template writes around harmless contents.
fn encode_untraced(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &[TemplateMessage<'_>],
    options: RenderOptions,
    text: String,
    pace: &mut Pace<'_>,
) -> Result<EncodedPrompt, TextError> {
    let specials = |text: &str| -> Vec<u32> {
        let parts = tokenizer.split_added(text);
        parts.into_iter().filter_map(|(id, _)| id).filter(|id| tokenizer.is_special(*id)).collect()
    };
    if specials(&skeleton(template, messages, options)?) != specials(&text) {
        let suspect =
            |m: &TemplateMessage<'_>| tokenizer.special_texts().any(|special| m.content.contains(special));
        return Err(TextError::Untraceable { message: messages.iter().position(suspect).unwrap_or(0) });
    }
    let layout = Layout { text: &text, untrusted: Vec::new(), stored: Vec::new(), mark: 0 };
    let tokens = layout.encode(tokenizer, pace)?.tokens;
    Ok(EncodedPrompt { tokens, system_tokens: 0, stored_tokens: vec![0; messages.len()], text })
}

/// Where the first message begins that is no leading system message.
fn end_of_system(messages: &[ChatMessage], spans: &[Span], text_bytes: usize) -> usize {
    let leading = messages.iter().take_while(|message| message.role == "system").count();
    spans.iter().find(|span| span.message >= leading).map_or(text_bytes, |span| span.range.start)
}

/// Puts stored ids where their messages lie. Of every stored answer the longest run of ids is taken whose decoding
/// is what the text says there: a template may have trimmed the end. Where none can be taken, a run without ids still
/// marks where the answer began, because nothing before it was merged with it when it was generated.
fn place_stored<'a>(
    tokenizer: &Tokenizer,
    messages: &'a [ChatMessage],
    text: &str,
    spans: &[Span],
    taken: &mut [usize],
) -> Vec<StoredRun<'a>> {
    let mut runs: Vec<StoredRun<'a>> = Vec::new();
    for (index, span) in spans.iter().enumerate().filter(|(_, span)| span.offset.is_some()) {
        let Some(stored) = messages[span.message].stored.as_ref().filter(|_| taken[span.message] == 0) else {
            continue;
        };
        let gap = index.checked_sub(1).map_or(0, |before| spans[before].range.end)
            ..spans.get(index + 1).map_or(text.len(), |after| after.range.start);
        let Some(range) = range_of_content(text, span, &messages[span.message].content, gap) else {
            continue;
        };
        let range = range.start..range.end.min(range.start.saturating_add(stored.covered_bytes));
        let (count, end) = matching_prefix(tokenizer, &stored.ids, text, range.clone());
        taken[span.message] = count;
        runs.push(StoredRun { range: range.start..end, ids: &stored.ids[..count] });
    }
    runs
}

/// Where a span's content can lie in the text when it is read from its first byte: what was left unmarked before
/// the span (white space that may be trimmed) must be there, and white space after it may be. `room` is the place
/// that no other span takes.
fn range_of_content(text: &str, span: &Span, content: &str, room: Range<usize>) -> Option<Range<usize>> {
    let offset = span.offset?;
    let start = span.range.start.checked_sub(offset).filter(|start| *start >= room.start)?;
    if text.get(start..span.range.start)? != content.get(..offset)? {
        return None;
    }
    let after = &text[span.range.end..room.end];
    Some(start..span.range.end + after.len() - after.trim_start().len())
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
