//! A model out of one GGUF file.

use std::path::Path;

use super::{GenerationDefaults, LoadedModel, Progress, TextSource, TokenizerSource, WeightsOrigin, name_of};
use crate::config::gguf::read_config;
use crate::error::ModelError;
use crate::text::GgufTokenizer;
use crate::weights::assemble::assemble;
use crate::weights::gguf::{GgufFile, is_gguf};
use crate::weights::store::map_file;

pub(super) fn load(path: &Path, progress: &dyn Fn(Progress)) -> Result<LoadedModel, ModelError> {
    let mapped = map_file(path)?;
    if !is_gguf(&mapped) {
        let detail = "neither a GGUF file nor a directory with config.json and safetensors";
        return Err(ModelError::malformed(path, detail));
    }
    let file = GgufFile::parse(path, mapped)?;
    progress(Progress::Files { opened: 1, total: 1 });
    let name = match file.text("general.name")? {
        Some(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => name_of(path, ".gguf"),
    };
    let (config, convention) = read_config(&file, &name)?;
    let tokenizer = read_tokenizer(&file, config.vocab_size)?;
    let generation = generation_defaults(&file, &tokenizer)?;
    generation.check(path, config.vocab_size)?;
    let weights =
        assemble(&file, convention, &config, &|placed, total| progress(Progress::Layers { placed, total }))?;
    Ok(LoadedModel {
        identity_config: config.identity(),
        quantisation: weights.quantisation(),
        config,
        weights,
        weights_origin: WeightsOrigin::Files(vec![path.to_owned()]),
        text: text_source(path, tokenizer),
        generation,
    })
}

/// The tokenizer's metadata, held against the embedding's rows.
fn read_tokenizer(file: &GgufFile, vocab_size: usize) -> Result<GgufTokenizer, ModelError> {
    let malformed = |detail: String| ModelError::malformed(file.path(), detail);
    let model = file.text("tokenizer.ggml.model")?.map(str::to_owned);
    let tokens = file.texts("tokenizer.ggml.tokens")?;
    let (Some(model), Some(tokens)) = (model, tokens) else {
        return Err(malformed("the file has no tokenizer (tokenizer.ggml.model and tokens)".to_owned()));
    };
    if tokens.len() > vocab_size {
        return Err(malformed(format!(
            "a tokenizer of {} tokens does not fit an embedding of {vocab_size} rows",
            tokens.len()
        )));
    }
    let token_types = token_types(file)?;
    let scores = file.floats("tokenizer.ggml.scores")?.unwrap_or_default();
    for (what, length) in [("token_type", token_types.len()), ("scores", scores.len())] {
        if length != 0 && length != tokens.len() {
            return Err(malformed(format!(
                "tokenizer.ggml.{what} has {length} entries for {} tokens",
                tokens.len()
            )));
        }
    }
    let mut tokenizer = GgufTokenizer {
        model,
        pre: file.text("tokenizer.ggml.pre")?.map(str::to_owned),
        tokens,
        token_types,
        merges: file.texts("tokenizer.ggml.merges")?.unwrap_or_default(),
        scores,
        bos: token_id(file, "bos")?,
        eos: token_id(file, "eos")?,
        eot: token_id(file, "eot")?,
        eom: token_id(file, "eom")?,
        unknown: token_id(file, "unknown")?,
        padding: token_id(file, "padding")?,
        add_bos: file.bool("tokenizer.ggml.add_bos_token")?,
        add_space_prefix: file.bool("tokenizer.ggml.add_space_prefix")?,
        chat_template: file.text("tokenizer.chat_template")?.map(str::to_owned),
        guessed: None,
    };
    tokenizer.complete(file.path())?;
    Ok(tokenizer)
}

fn token_types(file: &GgufFile) -> Result<Vec<i32>, ModelError> {
    let key = "tokenizer.ggml.token_type";
    let types = file.integers(key)?.unwrap_or_default();
    let types: Result<Vec<i32>, _> = types.into_iter().map(i32::try_from).collect();
    types.map_err(|_| ModelError::malformed(file.path(), format!("metadata key {key} holds no token types")))
}

fn token_id(file: &GgufFile, which: &str) -> Result<Option<u32>, ModelError> {
    let key = format!("tokenizer.ggml.{which}_token_id");
    match file.u64(&key)? {
        // Some converters write −1 as u32 for "none".
        None => Ok(None),
        Some(id) if id == u64::from(u32::MAX) => Ok(None),
        Some(id) => match u32::try_from(id) {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(ModelError::malformed(file.path(), format!("metadata key {key} is no token id"))),
        },
    }
}

/// Sampling defaults have keys of their own since 2025; most files have none.
fn generation_defaults(file: &GgufFile, tokenizer: &GgufTokenizer) -> Result<GenerationDefaults, ModelError> {
    let mut eos_ids: Vec<u32> = [tokenizer.eos, tokenizer.eot, tokenizer.eom].into_iter().flatten().collect();
    eos_ids.sort_unstable();
    eos_ids.dedup();
    let number = |key: &str| file.f32(&format!("general.sampling.{key}"));
    Ok(GenerationDefaults {
        eos_ids,
        bos_id: tokenizer.bos,
        temperature: number("temp")?,
        top_p: number("top_p")?,
        // Some say −1 for "off".
        top_k: number("top_k")?.map(|top_k| top_k as u32),
        min_p: number("min_p")?,
        repetition_penalty: number("penalty_repeat")?,
    })
}

fn text_source(path: &Path, tokenizer: GgufTokenizer) -> TextSource {
    let text = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).map(str::to_owned);
    TextSource {
        chat_template: tokenizer.chat_template.clone(),
        bos_token: text(tokenizer.bos),
        eos_token: text(tokenizer.eos),
        unk_token: text(tokenizer.unknown),
        pad_token: text(tokenizer.padding),
        tokenizer: TokenizerSource::Gguf { path: path.to_owned(), tokenizer: Box::new(tokenizer) },
    }
}
