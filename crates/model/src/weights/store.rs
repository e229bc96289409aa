//! Where weights come from, whatever the container: named tensors over mapped files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::{TensorBytes, WeightDtype};
use crate::error::ModelError;

/// A tensor as its container describes it; `bytes` is as long as shape and format say.
pub struct StoredTensor {
    /// The file that holds it.
    pub path: PathBuf,
    pub dtype: WeightDtype,
    /// Outermost dimension first: `[outputs, inputs]` of a matrix.
    pub shape: Vec<usize>,
    pub bytes: TensorBytes,
}

/// A container of named tensors.
pub trait TensorStore {
    /// What an error about the whole container names.
    fn location(&self) -> &Path;

    /// The tensor `name`, `None` if there is none.
    ///
    /// # Errors
    /// It is there, but in a format that is not supported, or its bytes are not all there.
    fn find(&self, name: &str) -> Result<Option<StoredTensor>, ModelError>;

    /// All names, in any order.
    fn names(&self) -> Vec<&str>;
}

/// Maps a whole file for reading.
///
/// The mapping follows the file: whoever shortens it while the server runs takes the server down (SIGBUS), as with
/// every program that maps its models. Replace a model by renaming a new file over it.
///
/// # Errors
/// The file cannot be opened, is no regular file (opening a pipe would wait for ever), or is empty.
pub fn map_file(path: &Path) -> Result<Arc<Mmap>, ModelError> {
    let kind = fs::metadata(path).map_err(|source| ModelError::io(path, source))?;
    if !kind.is_file() {
        return Err(ModelError::malformed(path, "not a regular file"));
    }
    if kind.len() == 0 {
        return Err(ModelError::malformed(path, "the file is empty"));
    }
    let file = fs::File::open(path).map_err(|source| ModelError::io(path, source))?;
    // SAFETY: the mapping is read-only and private; that nobody shortens the file is the documented contract.
    let mapped = unsafe { Mmap::map(&file) };
    mapped.map(Arc::new).map_err(|source| ModelError::io(path, source))
}
