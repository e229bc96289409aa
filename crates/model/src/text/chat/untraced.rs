//! Texts that cannot be traced are trusted where that cannot do harm.

use super::super::error::TextError;
use super::super::template::{Conversation, Owner, RenderOptions};
use super::super::tokenizer::Tokenizer;
use super::super::trace::{Span, Traced, skeleton};
use super::parts::Encoder;

/// The special tokens outside of what was traced must be those that the template writes around harmless words.
pub(super) fn check(
    encoder: &Encoder<'_>,
    chat: &Conversation<'_>,
    options: RenderOptions,
    traced: &Traced,
) -> Result<(), TextError> {
    if traced.untraced.is_empty() {
        return Ok(());
    }
    let Encoder { tokenizer, template, .. } = encoder;
    let (own, spans) = skeleton(template, chat, options, &traced.untraced)?;
    if specials(tokenizer, &own, &spans) == specials(tokenizer, &traced.text, &traced.spans) {
        return Ok(());
    }
    let names_special = |text: &str| tokenizer.special_texts().any(|special| text.contains(special));
    let texts = template.texts_of(chat);
    let suspects = texts.iter().filter(|(source, _)| traced.untraced.contains(&source.owner));
    let suspect = suspects.clone().find(|(_, text)| names_special(text)).or_else(|| suspects.clone().next());
    Err(match suspect.map(|(source, _)| source.owner) {
        Some(Owner::Tools) => TextError::UntraceableValues { what: "the tools" },
        Some(Owner::Arguments) => TextError::UntraceableValues { what: "its arguments" },
        Some(Owner::Message(message)) => TextError::Untraceable { message },
        None => TextError::Untraceable { message: 0 },
    })
}

/// The special tokens outside of `spans`, in order.
fn specials(tokenizer: &Tokenizer, text: &str, spans: &[Span]) -> Vec<u32> {
    let starts = spans.iter().map(|span| span.range.start).chain([text.len()]);
    let ends = [0].into_iter().chain(spans.iter().map(|span| span.range.end));
    let own = ends.zip(starts).map(|(start, end)| &text[start..end]);
    own.flat_map(|own| tokenizer.split_added(own))
        .filter_map(|(id, _)| id)
        .filter(|id| tokenizer.is_special(*id))
        .collect()
}
