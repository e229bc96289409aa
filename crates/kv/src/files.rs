//! Small files that are either there as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What happens to a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    /// The call fails with `AlreadyExists`.
    Keep,
}

/// Writes `bytes` aside (mode 0600), makes them durable, and puts the file into place in one step.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], existing: Existing) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = aside_of(path);
    let outcome = write_durably(&aside, bytes).and_then(|()| put_into_place(&aside, path, existing));
    if outcome.is_err() {
        // It may not even have been made.
        let _ = std::fs::remove_file(&aside);
    }
    outcome?;
    File::open(directory)?.sync_all()
}

fn aside_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}", std::process::id()));
    path.with_file_name(name)
}

fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn put_into_place(aside: &Path, path: &Path, existing: Existing) -> std::io::Result<()> {
    let flags = match existing {
        Existing::Replace => RenameFlags::empty(),
        Existing::Keep => RenameFlags::NOREPLACE,
    };
    match renameat_with(CWD, aside, CWD, path, flags) {
        // A file system that cannot rename without replacing: a link never replaces.
        Err(Errno::INVAL) if existing == Existing::Keep => {
            std::fs::hard_link(aside, path)?;
            std::fs::remove_file(aside)
        }
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_or_kept_as_asked_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_whole(&path, b"one", Existing::Keep).unwrap();
        let refused = write_whole(&path, b"two", Existing::Keep).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"three", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(names(directory.path()), ["file"]);
    }
}
