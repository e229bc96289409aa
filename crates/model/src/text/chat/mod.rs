//! Conversations to tokens (`docs/architecture.md`, third idea): template text may become special tokens, users' text
//! never does, and an answer keeps the tokens it was generated with.

mod body;
mod compose;
mod fallback;
mod open;
mod parts;
mod request;
mod spans;
mod untraced;

use std::ops::Range;

use super::error::TextError;
use super::message::{ChatMessage, Ending};
use super::pace::Pace;
use super::template::{Conversation, Owner, RenderOptions, Tooling};
use super::trace::{Traced, trace};
use body::Bodies;
use compose::{Placement, compose};
pub(crate) use parts::Encoder;
pub use request::ChatRequest;

/// A conversation's tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPrompt {
    pub tokens: Vec<u32>,
    /// Tokens before the first message that is no leading system message: the head that a view keeps.
    pub system_tokens: usize,
    /// For every message, how many of its stored tokens were taken.
    pub stored_tokens: Vec<usize>,
    /// Tokens of answers that were generated behind reasoning which is not in this prompt: earlier turns computed them
    /// behind that reasoning.
    pub without_reasoning: Vec<Range<usize>>,
    /// The answer begins inside of its reasoning; of an answer that goes on with a message, that message does.
    pub starts_in_reasoning: bool,
    /// The last so many tokens are the message that the answer goes on with, from where an answer would begin.
    pub prefill: usize,
    /// Those tokens end inside of reasoning.
    pub prefill_in_reasoning: bool,
    /// The text that the tokens decode to: as the template renders it, with the texts of stored answers in their places.
    pub text: String,
}

impl Encoder<'_> {
    /// Renders and encodes a conversation. Its length is judged by the rendered text: a template may leave contents out.
    pub fn encode(&self, request: &ChatRequest<'_>, pace: &mut Pace<'_>) -> Result<EncodedPrompt, TextError> {
        check_roles(request.messages)?;
        let refused = match self.encode_with_tools(request, pace) {
            Err(refused @ TextError::Refused { .. }) => refused,
            encoded => return encoded,
        };
        for messages in fallback::rewritten(request.messages, self.format.is_generic()) {
            let request = ChatRequest { messages: &messages, ..*request };
            match self.encode_with_tools(&request, pace) {
                Err(TextError::Refused { .. }) => {}
                encoded => return encoded,
            }
        }
        Err(refused)
    }

    /// Tools are given as values, or in the text of messages where the template knows none.
    fn encode_with_tools(
        &self,
        request: &ChatRequest<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<EncodedPrompt, TextError> {
        let speaks_of_tools =
            |message: &ChatMessage| message.role == "tool" || !message.tool_calls.is_empty();
        let has_tools = !request.tools.is_empty() || request.messages.iter().any(speaks_of_tools);
        if !has_tools || !self.format.is_generic() {
            return self.encode_as_it_is(request, Tooling::Values, pace);
        }
        match self.encode_as_it_is(request, Tooling::InSystem, pace) {
            Err(TextError::Refused { .. }) => self.encode_as_it_is(request, Tooling::InUser, pace),
            encoded => encoded,
        }
    }

    fn encode_as_it_is(
        &self,
        request: &ChatRequest<'_>,
        tooling: Tooling,
        pace: &mut Pace<'_>,
    ) -> Result<EncodedPrompt, TextError> {
        let messages = request.messages;
        let chat = Conversation::new(messages, request.tools, request.arguments, tooling)?;
        let options = RenderOptions { ending: request.ending, date: request.date };
        let mut traced = trace(self.template, &chat, options, pace)?;
        untraced::check(self, &chat, options, &traced)?;
        if request.ending == Ending::Open {
            open::cut(&mut traced, messages)?;
        }
        pace.breathe();
        let given = self.given_reasoning(&traced).filter(|_| request.ending == Ending::Answer);
        let mut bodies = Bodies::new(self, &chat, options, &traced);
        let mut placements: Vec<Placement<'_>> = (0..messages.len())
            .filter_map(|message| {
                let body = bodies.place(message, pace);
                body.or_else(|| spans::place(self, &messages[message], &traced, message, given))
            })
            .collect();
        placements.sort_by_key(|placement| placement.range.start);
        let begun = match request.ending {
            Ending::Open => messages.len().checked_sub(1),
            _ => None,
        };
        let begun = begun.map(|last| (last, open::beginning(&traced, last, bodies.start(last, pace))));
        if let Some((last, at)) = begun {
            open::mark_beginning(&mut placements, last, at);
        }
        let mark = end_of_system(messages, &traced);
        let composed = compose(&traced, placements, mark);
        let encoded = composed.layout().encode(self.tokenizer, pace)?;
        let mut stored_tokens = vec![0; messages.len()];
        let mut without_reasoning = Vec::new();
        let mut from = encoded.tokens.len();
        for (placement, tokens) in composed.placements.iter().zip(encoded.stored) {
            stored_tokens[placement.message] = placement.ids.len();
            if begun.is_some_and(|(_, at)| at == placement.range.start) {
                from = from.min(tokens.start);
            }
            without_reasoning.extend(placement.without_reasoning.then_some(tokens));
        }
        let opened = match begun {
            Some((_, at)) => self.format.starts_in_reasoning(own_before(&traced, at)),
            None => request.ending == Ending::Answer && self.format.starts_in_reasoning(own_end(&traced)),
        };
        Ok(EncodedPrompt {
            prefill: encoded.tokens.len() - from,
            prefill_in_reasoning: false,
            tokens: encoded.tokens,
            system_tokens: encoded.before_mark,
            stored_tokens,
            without_reasoning,
            starts_in_reasoning: opened,
            text: composed.text,
        })
    }
}

impl Encoder<'_> {
    /// The reasoning that the generation prompt writes itself, from its marker on: it opens it, or says that there is none.
    fn given_reasoning<'t>(&self, traced: &'t Traced) -> Option<&'t str> {
        let (open, _) = self.format.reasoning_tokens()?;
        let open = std::str::from_utf8(self.tokenizer.raw_token_bytes(open)).ok()?;
        let own = own_end(traced);
        own.rfind(open).map(|at| own[at..].trim())
    }
}

/// What the template writes behind the last text that was sent.
fn own_end(traced: &Traced) -> &str {
    own_before(traced, traced.text.len())
}

/// What the template writes between `at` and the text before it that was sent.
fn own_before(traced: &Traced, at: usize) -> &str {
    let before = traced.spans.partition_point(|span| span.range.end <= at);
    &traced.text[before.checked_sub(1).map_or(0, |last| traced.spans[last].range.end)..at]
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

/// Where the first message begins that is no leading system message; 0 where that cannot be said.
fn end_of_system(messages: &[ChatMessage], traced: &Traced) -> usize {
    let leading = messages.iter().take_while(|message| message.role == "system").count();
    let is_hidden = |owner: &Owner| match owner {
        Owner::Message(message) => *message <= leading,
        _ => false,
    };
    if traced.untraced.iter().any(is_hidden) {
        return 0;
    }
    let first = traced.spans.iter().find(|span| span.message().is_some_and(|message| message >= leading));
    first.map_or(traced.text.len(), |span| span.range.start)
}
