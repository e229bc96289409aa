//! The secrets of a data directory: the key of all block keys, and the server secret of tenant salts.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::KvError;
use crate::files::{Existing, write_whole};

/// Length of a secret, in bytes.
pub const SECRET_BYTES: usize = 32;

/// The secrets of one server. Whoever has them can compute its block keys, so they are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Keys [`crate::key::KeyHasher`].
    pub hash_key: [u8; SECRET_BYTES],
    /// Keys [`crate::key::tenant_salt`], and the sealed parts of headers and of the store ([`crate::seal::Sealer`]).
    pub server_secret: [u8; SECRET_BYTES],
}

impl Secrets {
    /// The secrets in `directory` (`hash.key` and `server.secret`), made at the first time.
    ///
    /// # Errors
    /// As [`load_or_create`]; [`KvError::Io`] if the directory cannot be made.
    pub fn open(directory: &Path) -> Result<Self, KvError> {
        std::fs::create_dir_all(directory).map_err(KvError::io(directory))?;
        Ok(Self {
            hash_key: load_or_create(&directory.join("hash.key"))?,
            server_secret: load_or_create(&directory.join("server.secret"))?,
        })
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(secret)")
    }
}

/// Fresh secrets that are kept nowhere: block keys then match nothing after a restart.
///
/// # Errors
/// [`KvError::Io`] if the system gives no random bytes.
pub fn random_secrets() -> Result<Secrets, KvError> {
    let random = || random_bytes().map_err(|errno| KvError::io(Path::new("random bytes"))(errno.into()));
    Ok(Secrets { hash_key: random()?, server_secret: random()? })
}

/// Reads a secret of [`SECRET_BYTES`] bytes, or makes it from the system's random numbers (mode 0600, in place
/// as a whole or not at all). Rights of others that an existing file has, after a restored backup say, are
/// taken away.
///
/// # Errors
/// [`KvError::Invalid`] if the file has another length: it is not replaced, because all blocks and tenants
/// depend on it. [`KvError::Io`] if it cannot be read or made.
pub fn load_or_create(path: &Path) -> Result<[u8; SECRET_BYTES], KvError> {
    match File::open(path) {
        Ok(file) => return load(path, &file),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(KvError::io(path)(error)),
    }
    let secret: [u8; SECRET_BYTES] = random_bytes().map_err(|errno| KvError::io(path)(errno.into()))?;
    match write_whole(path, &secret, Existing::Keep) {
        Ok(()) => Ok(secret),
        // Another process was faster; its secret is the one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            load(path, &File::open(path).map_err(KvError::io(path))?)
        }
        Err(error) => Err(KvError::io(path)(error)),
    }
}

fn load(path: &Path, file: &File) -> Result<[u8; SECRET_BYTES], KvError> {
    let metadata = file.metadata().map_err(KvError::io(path))?;
    let mut bytes = Vec::with_capacity(SECRET_BYTES + 1);
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(KvError::io(path))?;
    let secret = <[u8; SECRET_BYTES]>::try_from(bytes).map_err(|_| KvError::Invalid {
        what: "secret file",
        detail: format!(
            "{} has {} bytes instead of {SECRET_BYTES}; restore it, or remove it together with the store beside it",
            path.display(),
            metadata.len()
        ),
    })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(KvError::io(path))?;
    }
    Ok(secret)
}

/// Bytes of the system's random numbers.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_made_once_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("data");
        let first = Secrets::open(&inside).unwrap();
        assert_eq!(Secrets::open(&inside).unwrap(), first);
        assert_ne!(first.hash_key, first.server_secret);
        assert_ne!(first.hash_key, [0; SECRET_BYTES]);
        assert_ne!(random_secrets().unwrap(), random_secrets().unwrap());
    }

    #[test]
    fn only_its_owner_may_read_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = load_or_create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), secret);
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_secret_of_another_length_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for len in [0, 31, 33, 1000] {
            let path = directory.path().join(format!("{len}"));
            std::fs::write(&path, vec![7; len]).unwrap();
            let error = load_or_create(&path).unwrap_err();
            assert_eq!(error.code(), "kv_invalid", "{len} bytes: {error}");
            assert!(error.to_string().contains(&format!("{len} bytes instead of 32")), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), vec![7; len]);
        }
    }

    #[test]
    fn processes_that_make_the_same_secret_at_once_agree_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        // One has found no file yet; the other has just put it into place.
        write_whole(&path, &[9; SECRET_BYTES], Existing::Keep).unwrap();
        let late = write_whole(&path, &[8; SECRET_BYTES], Existing::Keep).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::AlreadyExists);
        assert_eq!(load_or_create(&path).unwrap(), [9; SECRET_BYTES]);
    }

    #[test]
    fn secrets_are_never_printed() {
        assert_eq!(format!("{:?}", random_secrets().unwrap()), "Secrets(secret)");
    }
}
