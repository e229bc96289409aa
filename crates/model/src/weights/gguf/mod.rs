//! The GGUF container, versions 2 and 3, little endian: metadata and a directory of tensors over one mapped file.
//! Written here because the crates at hand either bring a whole tensor framework or believe the file's counts.

mod reader;
mod value;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use self::reader::{Parsed, Reader};
use self::value::Value;
use super::store::{StoredTensor, TensorStore};
use super::{TensorBytes, WeightDtype};
use crate::error::ModelError;

const MAGIC: &[u8] = b"GGUF";
/// Alignment of tensor data unless `general.alignment` says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const MAX_DIMENSIONS: u32 = 4;
/// Least bytes of a metadata entry: an empty key, a type, one byte.
const LEAST_ENTRY_BYTES: usize = 13;
/// Least bytes of a tensor's entry: an empty name, one dimension, type and offset.
const LEAST_TENSOR_BYTES: usize = 32;

/// A tensor's entry in the directory, not yet held against the file's length: files may carry tensors in formats
/// that we cannot size, and only those that the model uses matter.
struct TensorEntry {
    /// Outermost first, as everywhere else in this crate; the file has them the other way round.
    shape: Vec<usize>,
    type_id: u32,
    /// From the start of the tensor data.
    offset: u64,
}

/// An opened GGUF file.
pub struct GgufFile {
    path: PathBuf,
    file: Arc<Mmap>,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorEntry>,
    data_start: usize,
}

/// Whether the bytes begin as a GGUF file does.
pub fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl GgufFile {
    /// Reads metadata and tensor directory of `file`, mapped from `path`.
    ///
    /// # Errors
    /// `Malformed` where the file contradicts its format, `Unsupported` for version 1, big endian and split files.
    pub fn parse(path: &Path, file: Arc<Mmap>) -> Result<Self, ModelError> {
        check_version(path, &file)?;
        let (metadata, tensors, data_start) =
            read_directory(&file).map_err(|detail| ModelError::malformed(path, detail))?;
        let gguf = GgufFile { path: path.to_owned(), file, metadata, tensors, data_start };
        if gguf.u64("split.count")?.is_some_and(|count| count > 1) {
            return Err(ModelError::unsupported(
                path,
                "a GGUF file split in several is not supported; merge it",
            ));
        }
        Ok(gguf)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether metadata has `key`, of whatever type.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    fn get<T>(
        &self,
        key: &str,
        kind: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        convert(value)
            .map(Some)
            .ok_or_else(|| ModelError::malformed(&self.path, format!("metadata key {key} is not {kind}")))
    }

    /// A count or id.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, ModelError> {
        self.get(key, "an unsigned integer", Value::as_u64)
    }

    /// A number, rounded to f32 as the file format stores it.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, ModelError> {
        self.get(key, "a number", |value| value.as_f64().map(|number| number as f32))
    }

    /// A yes or no.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.get(key, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        match value {
            Value::Text(text) => Ok(Some(text)),
            _ => Err(ModelError::malformed(&self.path, format!("metadata key {key} is not a text"))),
        }
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ModelError> {
        self.get(key, "an array of texts", |value| {
            value.elements(&self.file, |element| match element {
                Value::Text(text) => Some(text),
                _ => None,
            })
        })
    }

    /// An array of integers.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, ModelError> {
        self.get(key, "an array of integers", |value| value.elements(&self.file, |element| element.as_i64()))
    }

    /// An array of numbers, rounded to f32.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>, ModelError> {
        self.get(key, "an array of numbers", |value| {
            value.elements(&self.file, |element| element.as_f64().map(|number| number as f32))
        })
    }

    /// Where a tensor's bytes lie in the file.
    fn locate(&self, name: &str, entry: &TensorEntry, dtype: WeightDtype) -> Result<TensorBytes, ModelError> {
        let wrong = |detail: String| ModelError::malformed(&self.path, format!("tensor {name}: {detail}"));
        let columns = entry.shape.last().copied().unwrap_or(0);
        if !columns.is_multiple_of(dtype.block_len()) {
            return Err(wrong(format!(
                "rows of {columns} weights are no multiple of {dtype}'s block of {}",
                dtype.block_len()
            )));
        }
        let (start, length) = entry
            .shape
            .iter()
            .try_fold(1usize, |product, &dimension| product.checked_mul(dimension))
            .and_then(|weights| (weights / dtype.block_len()).checked_mul(dtype.block_bytes()))
            .zip(usize::try_from(entry.offset).ok().and_then(|offset| self.data_start.checked_add(offset)))
            .map(|(length, start)| (start, length))
            .ok_or_else(|| wrong("its size overflows".to_owned()))?;
        match start.checked_add(length) {
            Some(end) if end <= self.file.len() => {
                Ok(TensorBytes::Mapped { file: Arc::clone(&self.file), range: start..end })
            }
            _ => Err(wrong(format!(
                "truncated: {length} bytes wanted at byte {start}, the file has {}",
                self.file.len()
            ))),
        }
    }
}

impl TensorStore for GgufFile {
    fn location(&self) -> &Path {
        &self.path
    }

    fn find(&self, name: &str) -> Result<Option<StoredTensor>, ModelError> {
        let Some(entry) = self.tensors.get(name) else { return Ok(None) };
        let dtype = weight_dtype(entry.type_id).ok_or_else(|| {
            let stored = type_name(entry.type_id);
            ModelError::unsupported(
                &self.path,
                format!("tensor {name} is stored as {stored}, which is not supported"),
            )
        })?;
        let bytes = self.locate(name, entry, dtype)?;
        Ok(Some(StoredTensor { path: self.path.clone(), dtype, shape: entry.shape.clone(), bytes }))
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }
}

fn check_version(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let mut reader = Reader::new(bytes, 0);
    let header = reader.take(MAGIC.len()).and_then(|magic| Ok((magic == MAGIC, reader.u32()?)));
    match header {
        Err(detail) => Err(ModelError::malformed(path, detail)),
        Ok((false, _)) => Err(ModelError::malformed(path, "not a GGUF file")),
        Ok((true, 2 | 3)) => Ok(()),
        Ok((true, version)) if matches!(version.swap_bytes(), 1..=3) => {
            Err(ModelError::unsupported(path, "a big-endian GGUF file is not supported"))
        }
        Ok((true, version)) => Err(ModelError::unsupported(
            path,
            format!("GGUF version {version} is not supported (2 and 3 are)"),
        )),
    }
}

type Directory = (HashMap<String, Value>, HashMap<String, TensorEntry>, usize);

fn read_directory(bytes: &[u8]) -> Parsed<Directory> {
    let mut reader = Reader::new(bytes, MAGIC.len() + 4);
    let tensor_count = reader.count("tensors", LEAST_TENSOR_BYTES)?;
    let entry_count = reader.count("metadata entries", LEAST_ENTRY_BYTES)?;
    let mut metadata = HashMap::new();
    for _ in 0..entry_count {
        let key = reader.string()?.to_owned();
        let value = Value::read(&mut reader).map_err(|detail| format!("metadata key {key}: {detail}"))?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("metadata key {key} occurs twice"));
        }
    }
    let alignment = alignment(&metadata)?;
    let mut tensors = HashMap::new();
    for _ in 0..tensor_count {
        let (name, entry) = read_tensor_entry(&mut reader, alignment)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("tensor {name} occurs twice"));
        }
    }
    let data_start = reader.position().next_multiple_of(alignment as usize);
    Ok((metadata, tensors, data_start))
}

fn alignment(metadata: &HashMap<String, Value>) -> Parsed<u64> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    match value.as_u64() {
        Some(alignment) if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(alignment),
        _ => Err("general.alignment is not a power of two in range".to_owned()),
    }
}

fn read_tensor_entry(reader: &mut Reader<'_>, alignment: u64) -> Parsed<(String, TensorEntry)> {
    let name = reader.string()?.to_owned();
    let dimensions = reader.u32()?;
    if dimensions == 0 || dimensions > MAX_DIMENSIONS {
        return Err(format!("tensor {name} has {dimensions} dimensions"));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        match usize::try_from(reader.u64()?) {
            Ok(dimension) if dimension > 0 => shape.push(dimension),
            _ => return Err(format!("tensor {name} has a dimension of 0 or too large")),
        }
    }
    shape.reverse();
    let type_id = reader.u32()?;
    let offset = reader.u64()?;
    if !offset.is_multiple_of(alignment) {
        return Err(format!("tensor {name} lies at {offset}, which is not aligned to {alignment}"));
    }
    Ok((name, TensorEntry { shape, type_id, offset }))
}

fn weight_dtype(type_id: u32) -> Option<WeightDtype> {
    Some(match type_id {
        0 => WeightDtype::F32,
        1 => WeightDtype::F16,
        2 => WeightDtype::Q4_0,
        3 => WeightDtype::Q4_1,
        8 => WeightDtype::Q8_0,
        12 => WeightDtype::Q4K,
        13 => WeightDtype::Q5K,
        14 => WeightDtype::Q6K,
        30 => WeightDtype::Bf16,
        _ => return None,
    })
}

/// The usual name of a type that we do not compute with, for the error message.
fn type_name(type_id: u32) -> String {
    let name = match type_id {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        other => return format!("type {other}"),
    };
    name.to_owned()
}
