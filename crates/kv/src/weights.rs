//! The hash of all weight bytes, part of every block's identity, and the file that remembers it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use serde::{Deserialize, Serialize};

use crate::error::KvError;
use crate::files::{Existing, write_whole};

const FORMAT: u32 = 1;

/// BLAKE3 over the contents of `files`, in that order (shards in the order of their names). Paths do not
/// count: a model that was moved keeps its blocks.
///
/// Hashing runs on several threads over a memory map. With `cache`, a file whose path, size, times and inode
/// are as remembered there is not read again. A cache that is missing, damaged or cannot be written only costs
/// time.
///
/// # Errors
/// [`KvError::Invalid`] without files, [`KvError::Io`] if one cannot be read.
pub fn weights_hash(files: &[PathBuf], cache: Option<&Path>) -> Result<[u8; 32], KvError> {
    weights_hash_with(files, cache, &hash_file)
}

fn weights_hash_with(
    files: &[PathBuf],
    cache_path: Option<&Path>,
    hash_file: &dyn Fn(&Path) -> std::io::Result<Hash>,
) -> Result<[u8; 32], KvError> {
    if files.is_empty() {
        return Err(KvError::Invalid { what: "weights", detail: "there are no weight files".into() });
    }
    let mut cache = cache_path.map(WeightsHashCache::load).unwrap_or_default();
    let mut all = Hasher::new();
    let mut added = false;
    for file in files {
        let identity = FileIdentity::of(file).map_err(KvError::io(file))?;
        let hash = match cache.get(&identity) {
            Some(hash) => hash,
            None => {
                let hash = hash_file(file).map_err(KvError::io(file))?;
                // A file that changed while it was read is hashed again next time.
                if FileIdentity::of(file).is_ok_and(|after| after == identity) {
                    cache.put(identity, hash);
                    added = true;
                }
                hash
            }
        };
        all.update(hash.as_bytes());
    }
    if let Some(path) = cache_path.filter(|_| added) {
        cache.save(path);
    }
    Ok(all.finalize().into())
}

fn hash_file(path: &Path) -> std::io::Result<Hash> {
    Ok(Hasher::new().update_mmap_rayon(path)?.finalize())
}

/// What tells whether a file is still the one that was hashed. The time of the last change of the inode is in
/// it because tools that copy a file's modification time cannot set that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileIdentity {
    path: String,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
    device: u64,
}

impl FileIdentity {
    fn of(path: &Path) -> std::io::Result<Self> {
        let path = path.canonicalize()?;
        let metadata: Metadata = path.metadata()?;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Ok(Self {
            path: path.to_string_lossy().into_owned(),
            size: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
        })
    }
}

/// The file that remembers hashes: JSON, a record a file, each with a checksum of its own.
#[derive(Default, Serialize, Deserialize)]
struct WeightsHashCache {
    format: u32,
    files: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    file: FileIdentity,
    blake3: String,
    checksum: String,
}

impl WeightsHashCache {
    /// What is unreadable is empty.
    fn load(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).ok().filter(|cache: &Self| cache.format == FORMAT).unwrap_or_default()
    }

    fn get(&self, file: &FileIdentity) -> Option<Hash> {
        let record = self.files.iter().find(|record| record.file == *file)?;
        let hash = Hash::from_hex(&record.blake3).ok()?;
        (record.checksum == checksum(file, &hash)).then_some(hash)
    }

    fn put(&mut self, file: FileIdentity, hash: Hash) {
        self.files.retain(|record| record.file.path != file.path);
        let checksum = checksum(&file, &hash);
        self.files.push(Record { file, blake3: hash.to_hex().to_string(), checksum });
    }

    /// Failing to write it is no error: the next start hashes again.
    fn save(&mut self, path: &Path) {
        self.format = FORMAT;
        if let Ok(text) = serde_json::to_vec_pretty(self) {
            let _ = write_whole(path, &text, Existing::Replace);
        }
    }
}

fn checksum(file: &FileIdentity, hash: &Hash) -> String {
    let mut hasher = Hasher::new();
    let FileIdentity { path, size, modified_ns, changed_ns, inode, device } = file;
    hasher.update(format!("{size} {modified_ns} {changed_ns} {inode} {device} {path} ").as_bytes());
    hasher.update(hash.as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Model {
        directory: tempfile::TempDir,
        files: Vec<PathBuf>,
        hashed: Cell<usize>,
    }

    impl Model {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files: Vec<_> = ["a.safetensors", "b.safetensors"].map(|n| directory.path().join(n)).into();
            std::fs::write(&files[0], vec![1; 300_000]).unwrap();
            std::fs::write(&files[1], b"second").unwrap();
            Self { directory, files, hashed: Cell::new(0) }
        }

        fn cache(&self) -> PathBuf {
            self.directory.path().join("weights-hash.json")
        }

        fn hash(&self) -> [u8; 32] {
            let count = |path: &Path| {
                self.hashed.set(self.hashed.get() + 1);
                hash_file(path)
            };
            weights_hash_with(&self.files, Some(&self.cache()), &count).unwrap()
        }
    }

    #[test]
    fn the_hash_is_of_the_contents_in_order() {
        let model = Model::new();
        let mut expected = Hasher::new();
        for contents in [&vec![1; 300_000], &b"second".to_vec()] {
            expected.update(blake3::hash(contents).as_bytes());
        }
        assert_eq!(model.hash(), *expected.finalize().as_bytes());
        let reversed: Vec<_> = model.files.iter().rev().cloned().collect();
        assert_ne!(weights_hash(&reversed, None).unwrap(), model.hash());
    }

    #[test]
    fn a_file_that_has_not_changed_is_not_read_again() {
        let model = Model::new();
        let first = model.hash();
        assert_eq!((model.hash(), model.hashed.get()), (first, 2));
        std::fs::write(&model.files[1], b"longer than before").unwrap();
        let second = model.hash();
        assert_ne!(second, first);
        assert_eq!(model.hashed.get(), 3);
        // Same length and bytes, another time.
        let file = std::fs::OpenOptions::new().write(true).open(&model.files[1]).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!((model.hash(), model.hashed.get()), (second, 4));
    }

    #[test]
    fn a_cache_that_is_damaged_anywhere_gives_the_right_hash() {
        let model = Model::new();
        let right = model.hash();
        let cache = std::fs::read(model.cache()).unwrap();
        // Not every byte, because every try makes the file durable anew.
        for at in (0..cache.len()).step_by(13) {
            let mut damaged = cache.clone();
            damaged[at] ^= 1;
            std::fs::write(model.cache(), &damaged).unwrap();
            assert_eq!(model.hash(), right, "byte {at}");
        }
        std::fs::write(model.cache(), &cache[..cache.len() / 2]).unwrap();
        assert_eq!(model.hash(), right);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let model = Model::new();
        let nowhere = model.directory.path().join("missing/weights-hash.json");
        assert_eq!(weights_hash(&model.files, Some(&nowhere)).unwrap(), model.hash());
    }

    #[test]
    fn a_missing_file_and_no_files_are_errors() {
        let missing = [PathBuf::from("does-not-exist.gguf")];
        assert_eq!(weights_hash(&missing, None).unwrap_err().code(), "kv_io");
        assert_eq!(weights_hash(&[], None).unwrap_err().code(), "kv_invalid");
    }
}
