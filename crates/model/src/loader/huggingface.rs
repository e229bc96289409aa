//! A model out of a directory in Hugging Face's layout.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::{GenerationDefaults, LoadedModel, Progress, TextSource, TokenizerSource, WeightsOrigin, name_of};
use crate::config::huggingface::read_config;
use crate::config::json::{Fields, read_text};
use crate::error::ModelError;
use crate::weights::assemble::{Convention, assemble};
use crate::weights::safetensors::SafetensorsStore;

const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

pub(super) fn load(directory: &Path, progress: &dyn Fn(Progress)) -> Result<LoadedModel, ModelError> {
    let config_path = directory.join("config.json");
    if !config_path.exists() {
        return Err(ModelError::malformed(directory, "no config.json in this directory"));
    }
    let (config, config_fields) = read_config(&config_path, &name_of(directory, ""))?;
    let tokenizer_path = directory.join("tokenizer.json");
    if !tokenizer_path.exists() {
        return Err(ModelError::malformed(directory, "no tokenizer.json in this directory"));
    }
    let store = open_weights(directory, progress)?;
    let weights = assemble(&store, Convention::HuggingFace, &config, &|placed, total| {
        progress(Progress::Layers { placed, total });
    })?;
    let generation = generation_defaults(directory, &config_fields)?;
    generation.check(directory, config.vocab_size)?;
    Ok(LoadedModel {
        identity_config: config.identity(),
        quantisation: weights.quantisation(),
        config,
        weights,
        weights_origin: WeightsOrigin::Files(store.files().map(Path::to_owned).collect()),
        text: text_source(directory, tokenizer_path)?,
        generation,
    })
}

/// A single file before shards, as transformers looks for them.
fn open_weights(directory: &Path, progress: &dyn Fn(Progress)) -> Result<SafetensorsStore, ModelError> {
    let single = directory.join("model.safetensors");
    if single.exists() {
        let store = SafetensorsStore::open_single(&single)?;
        progress(Progress::Files { opened: 1, total: 1 });
        return Ok(store);
    }
    let index_path = directory.join("model.safetensors.index.json");
    if !index_path.exists() {
        let detail = "neither model.safetensors nor model.safetensors.index.json in this directory";
        return Err(ModelError::malformed(directory, detail));
    }
    let index = read_index(directory, &index_path)?;
    SafetensorsStore::open_sharded(&index_path, &index, &|opened, total| {
        progress(Progress::Files { opened, total });
    })
}

/// Tensor names and the shards that hold them. Shards are named, not located: nothing but a plain file name is
/// accepted, so an index cannot point outside the directory. A link of that name is followed, since Hugging Face's
/// own cache consists of links.
fn read_index(directory: &Path, index_path: &Path) -> Result<Vec<(String, PathBuf)>, ModelError> {
    let fields = Fields::read(index_path)?;
    let Some(map) = fields.object("weight_map")? else {
        return Err(ModelError::malformed(index_path, "weight_map is missing"));
    };
    map.values()
        .map(|(tensor, shard)| match shard.as_str() {
            Some(name) if is_plain_name(name) => Ok((tensor.clone(), directory.join(name))),
            _ => {
                let detail = format!("weight_map places {tensor} in {shard}, which is no file name");
                Err(ModelError::malformed(index_path, detail))
            }
        })
        .collect()
}

fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    plain && !name.contains(['/', '\\', '\0'])
}

/// `generation_config.json`, and for token ids that it does not name `config.json`.
fn generation_defaults(directory: &Path, config: &Fields) -> Result<GenerationDefaults, ModelError> {
    let generation = read_if_present(&directory.join("generation_config.json"))?;
    let ids = |key: &str| -> Result<Vec<u32>, ModelError> {
        let own = generation.as_ref().map_or(Ok(Vec::new()), |fields| fields.token_ids(key))?;
        if own.is_empty() { config.token_ids(key) } else { Ok(own) }
    };
    let mut eos_ids = ids("eos_token_id")?;
    eos_ids.sort_unstable();
    eos_ids.dedup();
    let number = |key: &str| -> Result<Option<f32>, ModelError> {
        let number = generation.as_ref().map_or(Ok(None), |fields| fields.number(key))?;
        Ok(number.map(|number| number as f32))
    };
    Ok(GenerationDefaults {
        eos_ids,
        bos_id: ids("bos_token_id")?.first().copied(),
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        // Some say −1 for "off".
        top_k: number("top_k")?.map(|top_k| top_k as u32),
        min_p: number("min_p")?,
        repetition_penalty: number("repetition_penalty")?,
    })
}

fn text_source(directory: &Path, tokenizer: PathBuf) -> Result<TextSource, ModelError> {
    let fields = read_if_present(&directory.join("tokenizer_config.json"))?;
    // Older directories name the tokens here only.
    let named = read_if_present(&directory.join("special_tokens_map.json"))?;
    let token =
        |key: &str| [&fields, &named].into_iter().flatten().find_map(|file| token_text(file.get(key)?));
    Ok(TextSource {
        tokenizer: TokenizerSource::HuggingFace { path: tokenizer },
        chat_template: chat_template(directory, fields.as_ref())?,
        bos_token: token("bos_token"),
        eos_token: token("eos_token"),
        unk_token: token("unk_token"),
        pad_token: token("pad_token"),
    })
}

fn read_if_present(path: &Path) -> Result<Option<Fields>, ModelError> {
    path.exists().then(|| Fields::read(path)).transpose()
}

/// A token is stored as its text, or as an object with the text as `content`.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

/// A file of its own, which newer transformers write and prefer, or a string or a list of named ones in
/// `tokenizer_config.json`.
fn chat_template(directory: &Path, fields: Option<&Fields>) -> Result<Option<String>, ModelError> {
    let path = directory.join("chat_template.jinja");
    if path.exists() {
        return read_text(&path, MAX_TEMPLATE_BYTES).map(Some);
    }
    let Some((fields, stored)) = fields.and_then(|fields| Some((fields, fields.get("chat_template")?)))
    else {
        return Ok(None);
    };
    let template = match stored {
        Value::String(template) => Some(template.as_str()),
        Value::Array(named) => named
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .or_else(|| named.first())
            .and_then(|entry| entry.get("template")?.as_str()),
        _ => None,
    };
    match template {
        Some(template) => Ok(Some(template.to_owned())),
        None => Err(ModelError::malformed(
            fields.path(),
            "chat_template is neither a text nor a list of named ones",
        )),
    }
}
