//! Sealed bytes: encrypted and authenticated under a key of their own purpose, made of the server's secret. Token ids are
//! users' text, and an extent or the store can be read by any program that reads the disk.

use blake3::Hasher;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use rustix::io::Errno;

use crate::secret::{SECRET_BYTES, random_bytes};

/// Bytes of a nonce and of the tag that proves a sealed value.
pub const NONCE_BYTES: usize = 24;
pub const TAG_BYTES: usize = 16;

const SEAL: &[u8] = b"attentionstore seal 1";

/// XChaCha20-Poly1305 under the key of one purpose.
///
/// A nonce must never come twice under a key. A slot is written again and again, and nothing that outlives a crash counts
/// the writes; so a nonce is drawn at random, and has 192 bits: after 2⁶⁴ writes the chance of two alike is below 2⁻⁶⁴.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    pub fn new(secret: &[u8; SECRET_BYTES], purpose: &str) -> Self {
        let mut hasher = Hasher::new_keyed(secret);
        hasher.update(&(SEAL.len() as u64).to_le_bytes());
        hasher.update(SEAL);
        hasher.update(purpose.as_bytes());
        Self { cipher: XChaCha20Poly1305::new(hasher.finalize().as_bytes().into()) }
    }

    /// Seals `bytes` in their place; the nonce and the tag. `associated` is not hidden, and must be the same at `open`.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(
        &self,
        associated: &[u8],
        bytes: &mut [u8],
    ) -> Result<([u8; NONCE_BYTES], [u8; TAG_BYTES]), Errno> {
        let nonce: [u8; NONCE_BYTES] = random_bytes()?;
        let tag = self.cipher.encrypt_in_place_detached((&nonce).into(), associated, bytes);
        // A value would need 256 GiB to be refused.
        tag.map(|tag| (nonce, tag.into())).map_err(|_| Errno::FBIG)
    }

    /// Opens `bytes` in their place; false where they were not sealed under this key and `associated`, or are damaged,
    /// and then they mean nothing.
    #[must_use]
    pub fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        self.cipher.decrypt_in_place_detached(nonce.into(), associated, bytes, tag.into()).is_ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(sealer: &Sealer) -> ([u8; NONCE_BYTES], Vec<u8>, [u8; TAG_BYTES]) {
        let mut bytes = b"a value".to_vec();
        let (nonce, tag) = sealer.seal(b"name", &mut bytes).unwrap();
        (nonce, bytes, tag)
    }

    #[test]
    fn a_value_opens_under_its_own_secret_purpose_and_associated_bytes_alone() {
        let sealer = Sealer::new(&[7; 32], "a");
        let (nonce, bytes, tag) = sealed(&sealer);
        assert_ne!(bytes, b"a value");
        let opens = |sealer: &Sealer, associated: &[u8]| {
            let mut bytes = bytes.clone();
            sealer.open(&nonce, associated, &mut bytes, &tag) && bytes == b"a value"
        };
        assert!(opens(&sealer, b"name"));
        assert!(opens(&Sealer::new(&[7; 32], "a"), b"name"));
        assert!(!opens(&sealer, b"other"));
        assert!(!opens(&Sealer::new(&[7; 32], "b"), b"name"));
        assert!(!opens(&Sealer::new(&[8; 32], "a"), b"name"));
    }

    #[test]
    fn no_two_values_share_a_nonce_and_equal_ones_look_different() {
        let sealer = Sealer::new(&[7; 32], "a");
        let all: Vec<_> = (0..1000).map(|_| sealed(&sealer)).collect();
        let nonces: std::collections::HashSet<_> = all.iter().map(|(nonce, ..)| *nonce).collect();
        let values: std::collections::HashSet<_> = all.iter().map(|(_, bytes, _)| bytes.clone()).collect();
        assert_eq!((nonces.len(), values.len()), (all.len(), all.len()));
    }
}
