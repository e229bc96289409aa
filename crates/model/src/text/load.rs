//! The text side of a loaded model.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use attentionstore_output::Format;

use super::model::TextModel;
use super::request_templates::RequestTemplates;
use super::template::{ChatTemplate, TemplateTokens};
use super::tokenizer::Tokenizer;
use crate::ModelError;
use crate::loader::{LoadedModel, TextSource, TokenizerSource};

/// Larger tokenizer definitions are refused before they are read. The largest known ones have 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 256 << 20;

/// Special tokens that end a turn in the chat formats in use. Models stop at them whatever their configuration
/// lists: some configurations name only the token that ends a document.
const TURN_ENDS: [&str; 7] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
];

/// Further tokens that templates end turns with.
const HISTORY_ENDS: [&str; 6] =
    ["<|call|>", "<|return|>", "</s>", "<|user|>", "<|observation|>", "<｜end▁of▁sentence｜>"];

impl TextModel {
    /// Builds tokenizer and template of a loaded model, and checks that the vocabulary fits its embeddings.
    pub fn from_loaded(model: &LoadedModel) -> Result<Self, ModelError> {
        Self::from_source(&model.text, &model.generation.eos_ids, model.config.vocab_size)
    }

    /// The same from parts: `eos_ids` end an answer, `rows` is the number of the model's embeddings.
    ///
    /// A template that cannot be used is no reason to refuse the model, since raw completions need none: the
    /// error is kept and every chat gets it.
    pub fn from_source(source: &TextSource, eos_ids: &[u32], rows: usize) -> Result<Self, ModelError> {
        let tokenizer = match &source.tokenizer {
            TokenizerSource::HuggingFace { path } => Tokenizer::from_json(path, &read(path)?)?,
            TokenizerSource::Gguf { path, tokenizer } => Tokenizer::from_gguf(path, tokenizer)?,
        };
        tokenizer.check_fits(rows)?;
        let guessed = match &source.tokenizer {
            TokenizerSource::Gguf { tokenizer, .. } => tokenizer.guessed.clone(),
            TokenizerSource::HuggingFace { .. } => None,
        };
        let tokens = TemplateTokens {
            bos: source.bos_token.clone(),
            eos: source.eos_token.clone(),
            unknown: source.unk_token.clone(),
            padding: source.pad_token.clone(),
        };
        let template_source = source.chat_template.as_deref().unwrap_or_default();
        let format = Arc::new(Format::detect(template_source, |text| tokenizer.added_token_id(text)));
        let end_tokens = end_tokens(&tokenizer, &format, tokens.eos.as_deref(), eos_ids);
        let specials: Vec<&str> = tokenizer.special_texts().collect();
        let request_templates = RequestTemplates::new(tokens.clone(), &specials);
        let template =
            source.chat_template.as_deref().map(|template| ChatTemplate::new(template, tokens, &specials));
        let (template, template_error) = match template.transpose() {
            Ok(template) => (template, None),
            Err(error) => (None, Some(error)),
        };
        let turn_ends = turn_ends(&tokenizer, &end_tokens);
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            guessed,
            template,
            template_error,
            request_templates,
            format,
            end_tokens,
            turn_ends,
        })
    }
}

fn end_tokens(tokenizer: &Tokenizer, format: &Format, eos: Option<&str>, eos_ids: &[u32]) -> Vec<u32> {
    let turn_ends = TURN_ENDS.iter().filter_map(|name| tokenizer.token_id(name));
    let mut ends: Vec<u32> = turn_ends.filter(|id| tokenizer.is_special(*id)).collect();
    ends.extend(eos.and_then(|eos| tokenizer.token_id(eos)));
    ends.extend(eos_ids.iter().filter(|id| tokenizer.is_known(**id)));
    ends.retain(|id| !format.goes_on_after(*id));
    ends.extend(format.end_tokens());
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// A template may end the turns of a history with other tokens than an answer ends with.
fn turn_ends(tokenizer: &Tokenizer, end_tokens: &[u32]) -> Vec<u32> {
    let named = TURN_ENDS.iter().chain(&HISTORY_ENDS).filter_map(|name| tokenizer.token_id(name));
    let mut ends: Vec<u32> = named.chain(end_tokens.iter().copied()).collect();
    ends.retain(|id| tokenizer.is_special(*id));
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::io(path, source);
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(MAX_TOKENIZER_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_TOKENIZER_BYTES {
        return Err(ModelError::malformed(path, format!("is larger than {MAX_TOKENIZER_BYTES} bytes")));
    }
    Ok(bytes)
}
