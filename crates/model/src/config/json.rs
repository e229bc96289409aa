//! Typed access to a JSON object that nobody checked, with errors that name file and key.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::ModelError;

/// More than any configuration or index of a model has.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Reads a whole text file of at most `max_bytes`.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> Result<String, ModelError> {
    let metadata = std::fs::metadata(path).map_err(|source| ModelError::io(path, source))?;
    if !metadata.is_file() {
        return Err(ModelError::malformed(path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|source| ModelError::io(path, source))?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|source| ModelError::io(path, source))?;
    if bytes.len() as u64 > max_bytes {
        return Err(ModelError::malformed(path, format!("longer than {max_bytes} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| ModelError::malformed(path, "not UTF-8"))
}

/// A JSON object and the file it came from. A key that is absent and one that is `null` mean the same.
pub(crate) struct Fields {
    path: PathBuf,
    /// Where in the file, as `rope_scaling.`; empty at the top.
    prefix: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads and parses `path`, which must hold one JSON object.
    pub(crate) fn read(path: &Path) -> Result<Self, ModelError> {
        let text = read_text(path, MAX_JSON_BYTES)?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => Ok(Fields::of(path, map)),
            Ok(_) => Err(ModelError::malformed(path, "not a JSON object")),
            Err(error) => Err(ModelError::malformed(path, format!("not JSON: {error}"))),
        }
    }

    /// An object that was parsed already; errors name `path`.
    pub(crate) fn of(path: &Path, map: Map<String, Value>) -> Self {
        Fields { path: path.to_owned(), prefix: String::new(), map }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.map.iter()
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value)
            .map(Some)
            .ok_or_else(|| ModelError::malformed(&self.path, format!("{}{key} is not {kind}", self.prefix)))
    }

    /// A count of things.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.typed(key, "a count", |value| value.as_u64().and_then(|count| usize::try_from(count).ok()))
    }

    /// A count that has to be there.
    pub(crate) fn needed_count(&self, key: &str) -> Result<usize, ModelError> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    /// A number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A number that has to be there.
    pub(crate) fn needed_number(&self, key: &str) -> Result<f64, ModelError> {
        self.number(key)?.ok_or_else(|| self.missing(key))
    }

    /// A yes or no; absent means no.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, ModelError> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        self.typed(key, "a text", Value::as_str)
    }

    /// An object inside this one.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields>, ModelError> {
        self.typed(key, "an object", Value::as_object).map(|object| {
            object.map(|map| Fields {
                path: self.path.clone(),
                prefix: format!("{}{key}.", self.prefix),
                map: map.clone(),
            })
        })
    }

    /// Token ids: one, or a list of them.
    pub(crate) fn token_ids(&self, key: &str) -> Result<Vec<u32>, ModelError> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = self.typed(key, "a token id or a list of them", |value| match value {
            Value::Array(ids) => ids.iter().map(id).collect(),
            single => id(single).map(|id| vec![id]),
        })?;
        Ok(ids.unwrap_or_default())
    }

    fn missing(&self, key: &str) -> ModelError {
        ModelError::malformed(&self.path, format!("{}{key} is missing", self.prefix))
    }
}
