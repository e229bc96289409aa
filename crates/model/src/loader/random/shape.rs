//! Shapes: those of known models as data, and any `config.json`.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::config::ModelConfig;
use crate::config::huggingface::{read_config, read_fields};
use crate::config::json::Fields;
use crate::error::ModelError;
use crate::loader::name_of;

/// `config.json` fields by name. Contexts are as long as measurements ask for: random weights were trained for none.
static SHAPES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).unwrap_or_default());

/// The names of known shapes.
pub fn shape_names() -> Vec<&'static str> {
    SHAPES.keys().map(String::as_str).collect()
}

/// The configuration of the shape called `shape`, or of the directory at that path.
pub(super) fn read(shape: &str) -> Result<ModelConfig, ModelError> {
    if let Some(Value::Object(fields)) = SHAPES.get(shape) {
        let fields = Fields::of(Path::new("shapes.json"), fields.clone());
        return read_fields(&fields, &random_name(shape));
    }
    if !shape.contains('/') {
        let names = shape_names().join(", ");
        let detail = format!("{shape:?} is none of {names}; a directory needs a leading ., / or ~");
        return Err(ModelError::Invalid { what: "--random-weights", detail });
    }
    let directory = Path::new(shape);
    let path = directory.join("config.json");
    if !path.exists() {
        return Err(ModelError::malformed(directory, "no config.json in this directory"));
    }
    Ok(read_config(&path, &random_name(&name_of(directory, "")))?.0)
}

fn random_name(shape: &str) -> String {
    format!("random-{shape}")
}
