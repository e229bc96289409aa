//! Safetensors, in one file or in shards listed by `model.safetensors.index.json`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use super::store::{StoredTensor, TensorStore, map_file};
use super::{TensorBytes, WeightDtype};
use crate::error::ModelError;

struct Shard {
    path: PathBuf,
    file: Arc<Mmap>,
}

struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// In the shard's file.
    bytes: Range<usize>,
}

/// The tensors of one or several safetensors files.
pub struct SafetensorsStore {
    /// What errors about the whole name: the single file, or the index.
    location: PathBuf,
    shards: Vec<Shard>,
    entries: HashMap<String, Entry>,
}

impl SafetensorsStore {
    /// Opens a single file.
    ///
    /// # Errors
    /// The file cannot be read, or its header contradicts itself or the file's length.
    pub fn open_single(path: &Path) -> Result<Self, ModelError> {
        let mut store =
            SafetensorsStore { location: path.to_owned(), shards: Vec::new(), entries: HashMap::new() };
        let entries = store.open_shard(path)?;
        store.entries = entries;
        Ok(store)
    }

    /// Opens the shards that `index` (tensor → file name, from the index at `location`) names; the names have been
    /// checked by the caller. `progress(opened, total)` is called after each.
    ///
    /// # Errors
    /// As [`SafetensorsStore::open_single`], or a tensor is not in the shard that the index names.
    pub fn open_sharded(
        location: &Path,
        index: &[(String, PathBuf)],
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, ModelError> {
        let mut paths: Vec<&PathBuf> = index.iter().map(|(_, path)| path).collect();
        paths.sort();
        paths.dedup();
        let mut store =
            SafetensorsStore { location: location.to_owned(), shards: Vec::new(), entries: HashMap::new() };
        let mut by_path = HashMap::new();
        for path in &paths {
            by_path.insert(*path, store.open_shard(path)?);
            progress(store.shards.len(), paths.len());
        }
        for (name, path) in index {
            let entry = by_path.get_mut(path).and_then(|entries| entries.remove(name));
            let entry = entry.ok_or_else(|| {
                let detail = format!("tensor {name} is not in this file, though the index says so");
                ModelError::malformed(path, detail)
            })?;
            store.entries.insert(name.clone(), entry);
        }
        Ok(store)
    }

    /// The opened files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    fn open_shard(&mut self, path: &Path) -> Result<HashMap<String, Entry>, ModelError> {
        let file = map_file(path)?;
        let (header, metadata) = SafeTensors::read_metadata(&file)
            .map_err(|error| ModelError::malformed(path, format!("not a sound safetensors file: {error}")))?;
        let data_start = header + size_of::<u64>();
        let shard = self.shards.len();
        let entries = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let bytes = data_start + info.data_offsets.0..data_start + info.data_offsets.1;
                (name, Entry { shard, dtype: info.dtype, shape: info.shape.clone(), bytes })
            })
            .collect();
        self.shards.push(Shard { path: path.to_owned(), file });
        Ok(entries)
    }
}

impl TensorStore for SafetensorsStore {
    fn location(&self) -> &Path {
        &self.location
    }

    fn find(&self, name: &str) -> Result<Option<StoredTensor>, ModelError> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let shard = &self.shards[entry.shard];
        let dtype = match entry.dtype {
            Dtype::F32 => WeightDtype::F32,
            Dtype::F16 => WeightDtype::F16,
            Dtype::BF16 => WeightDtype::Bf16,
            other => {
                let detail = format!("tensor {name} is stored as {other:?}, which is not supported");
                return Err(ModelError::unsupported(&shard.path, detail));
            }
        };
        let bytes = TensorBytes::Mapped { file: Arc::clone(&shard.file), range: entry.bytes.clone() };
        Ok(Some(StoredTensor { path: shard.path.clone(), dtype, shape: entry.shape.clone(), bytes }))
    }

    fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }
}
