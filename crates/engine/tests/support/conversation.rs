//! Conversations as token ids, turn by turn.

use attentionstore_engine::{ChatDate, ChatMessage, ChatRequest, Engine};

/// Token indices. What lies before `prompt` is the turn's history.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Where what is new in the prompt begins.
    pub prompt: u32,
    /// Where the answer begins.
    pub answer: u32,
    pub end: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub tokens: Vec<u32>,
    pub turns: Vec<Turn>,
}

/// English prose that is always there.
const TEXT: &str = include_str!("../../../../docs/design/engine.md");

/// Words of a question and of an answer.
const WORDS: [usize; 2] = [110, 12];
const TURNS: usize = 4;

impl Conversation {
    /// Ids below 250, and so many of them in each turn's prompt and answer.
    pub fn of_lengths(turns: &[[u32; 2]]) -> Self {
        let mut conversation = Self::default();
        for &[prompt, answer] in turns {
            let from = conversation.tokens.len() as u32;
            let end = from + prompt + answer;
            conversation.tokens.extend((from..end).map(|index| 3 + index * index * 7 % 241));
            conversation.turns.push(Turn { prompt: from, answer: from + prompt, end });
        }
        conversation
    }

    /// Prose as the model's own template and tokenizer make a chat of it; answers keep their tokens.
    pub fn of_prose(engine: &Engine) -> Self {
        let mut conversation = Self::default();
        let mut words = TEXT.split_whitespace();
        let mut messages = Vec::new();
        for _ in 0..TURNS {
            let [question, answer] =
                WORDS.map(|count| words.by_ref().take(count).collect::<Vec<_>>().join(" "));
            messages.push(message("user", &question));
            let request = ChatRequest::new(&messages, ChatDate::from_unix_seconds(0));
            let prompt = engine.encode_chat(&request).unwrap().tokens;
            let from = conversation.tokens.len();
            assert_eq!(prompt[..from], conversation.tokens, "a turn goes on where the last one ended");
            let begin = prompt.len();
            conversation.tokens = prompt;
            conversation.tokens.extend(engine.tokenize(&answer, false).unwrap());
            let end = conversation.tokens.len() as u32;
            conversation.turns.push(Turn { prompt: from as u32, answer: begin as u32, end });
            messages.push(message("assistant", &answer));
        }
        conversation
    }
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage { role: role.into(), content: content.into(), ..ChatMessage::default() }
}
