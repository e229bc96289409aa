//! The folder of a store: its file, and where a damaged one goes.
//!
//! A store that is set aside keeps its name with `.damaged` behind it. It is users' text, sealed: there is one at most, and
//! an erasure removes it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::file::{Kind, RecordFile};

const FILE: &str = "records.sqlite";
/// Files of lmdb and of its format, which servers before this one made.
const LMDB: [&str; 3] = ["data.mdb", "lock.mdb", "format"];

/// What lay in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A store. `is_whole` false: a server that began it anew ended before it had written all that it knew.
    Kept { is_whole: bool },
    /// Nothing.
    Nothing,
    /// Records of another format; they are deleted.
    OtherFormat,
    /// Bytes that are no store. They are set aside, or deleted where `aside` is None.
    Damaged { detail: String, aside: Option<PathBuf> },
}

/// How a store was opened.
#[derive(Debug)]
pub struct Opened {
    pub found: Found,
    pub(crate) file: RecordFile,
}

#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Opens the store, or begins one. Fails only where the disk refuses: it is full, read-only or broken.
    pub(crate) fn open(&self) -> Result<Opened, StoreError> {
        let found = match self.look() {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => Found::Nothing,
            Err(Refusal::OtherFormat) => {
                self.delete()?;
                Found::OtherFormat
            }
            Err(Refusal::Failed(StoreError::Damaged { detail, .. })) => {
                Found::Damaged { detail, aside: self.set_aside()? }
            }
            Err(Refusal::Failed(error)) => return Err(error),
        };
        // A new store lacks nothing where there was none.
        self.begin(found.clone(), found == Found::Nothing)
    }

    /// Begins a store in place of the one that is there, which is set aside if `keeps`, else deleted.
    pub(crate) fn begin_anew(&self, detail: String, keeps: bool) -> Result<Opened, StoreError> {
        let aside = if keeps { self.set_aside()? } else { self.delete().map(|()| None)? };
        self.begin(Found::Damaged { detail, aside }, false)
    }

    /// Deletes the store that was set aside; false: there is none.
    pub(crate) fn remove_aside(&self) -> Result<bool, StoreError> {
        let aside = self.aside();
        remove(&aside).map_err(StoreError::io(&aside))
    }

    /// None: there is no store.
    fn look(&self) -> Result<Option<Opened>, Refusal> {
        let Self(path) = self;
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::damaged(path, "it is a link that leads nowhere").into());
            }
            Err(error) => return Err(StoreError::io(path)(error).into()),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(StoreError::damaged(path, "it is no folder").into());
            }
            Ok(_) => {}
        }
        if LMDB.iter().any(|name| path.join(name).symlink_metadata().is_ok()) {
            return Err(Refusal::OtherFormat);
        }
        let file = path.join(FILE);
        match fs::symlink_metadata(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&file)(error).into()),
            Ok(_) => {}
        }
        match RecordFile::open(&file)? {
            Kind::Ours { file, is_whole } => Ok(Some(Opened { found: Found::Kept { is_whole }, file })),
            Kind::OtherFormat => Err(Refusal::OtherFormat),
        }
    }

    fn begin(&self, found: Found, is_whole: bool) -> Result<Opened, StoreError> {
        let Self(path) = self;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io(path))?;
        let file = path.join(FILE);
        RecordFile::create(&file, is_whole)?;
        match RecordFile::open(&file)? {
            Kind::Ours { file, .. } => Ok(Opened { found, file }),
            Kind::OtherFormat => {
                Err(StoreError::damaged(&file, "it was made a moment ago, and is another one"))
            }
        }
    }

    /// Where a store that is set aside lies. One that lay there before is deleted.
    fn set_aside(&self) -> Result<Option<PathBuf>, StoreError> {
        let aside = self.aside();
        if self.is_bare() {
            return self.delete().map(|()| None);
        }
        self.remove_aside()?;
        match fs::rename(&self.0, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // A mount point, say: its files go, the folder stays.
            Err(error) if matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices) => {
                self.empty()
            }
            Err(error) => Err(StoreError::io(&self.0)(error)),
        }
    }

    /// A folder that has no file of a store yet, because beginning one failed.
    fn is_bare(&self) -> bool {
        let file = fs::symlink_metadata(self.0.join(FILE));
        self.0.is_dir() && file.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    fn empty(&self) -> Result<Option<PathBuf>, StoreError> {
        for entry in fs::read_dir(&self.0).map_err(StoreError::io(&self.0))? {
            let path = entry.map_err(StoreError::io(&self.0))?.path();
            remove(&path).map_err(StoreError::io(&path))?;
        }
        Ok(None)
    }

    fn delete(&self) -> Result<(), StoreError> {
        remove(&self.0).map(drop).map_err(StoreError::io(&self.0))
    }

    fn aside(&self) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(".damaged");
        name.into()
    }
}

#[derive(Debug)]
enum Refusal {
    OtherFormat,
    Failed(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Removes whatever has the name; false: nothing has.
fn remove(path: &Path) -> std::io::Result<bool> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
