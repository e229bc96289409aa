//! A table's name and the seal of its values.

use attentionstore_kv::seal::{NONCE_BYTES, Sealer, TAG_BYTES};
use attentionstore_kv::secret::SECRET_BYTES;

/// The seal proves a value: it opens in its own table and under its own key alone, so no other checksum is kept.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    sealer: Sealer,
}

impl Table {
    pub(crate) fn new(secret: &[u8; SECRET_BYTES], name: &str) -> Self {
        Self { name: name.to_owned(), sealer: Sealer::new(secret, &format!("table {name}")) }
    }

    /// Nonce, sealed bytes, tag; into `sealed`. None: the system gives no random bytes.
    pub(crate) fn seal(&self, key: &[u8], value: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
        sealed.clear();
        sealed.extend([0; NONCE_BYTES]);
        sealed.extend(value);
        let (nonce, tag) = self.sealer.seal(key, &mut sealed[NONCE_BYTES..]).ok()?;
        sealed[..NONCE_BYTES].copy_from_slice(&nonce);
        sealed.extend(tag);
        Some(())
    }

    /// The value, opened in its place. None: it is damaged, or of another key, table or secret.
    pub(crate) fn open<'a>(&self, key: &[u8], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (value, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        self.sealer.open(nonce, key, value, tag).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(table: &Table) -> Vec<u8> {
        let mut sealed = Vec::new();
        table.seal(b"key", b"a value", &mut sealed).unwrap();
        sealed
    }

    #[test]
    fn a_value_opens_in_its_own_table_under_its_own_key_and_secret_alone() {
        let table = Table::new(&[7; 32], "a");
        let bytes = sealed(&table);
        let opens = |table: &Table, key: &[u8]| table.open(key, &mut bytes.clone()) == Some(b"a value");
        assert!(opens(&table, b"key"));
        assert!(opens(&Table::new(&[7; 32], "a"), b"key"));
        assert!(!opens(&table, b"other"));
        assert!(!opens(&Table::new(&[7; 32], "b"), b"key"));
        assert!(!opens(&Table::new(&[8; 32], "a"), b"key"));
    }

    #[test]
    fn a_value_of_which_a_bit_was_changed_or_that_was_cut_off_does_not_open() {
        let table = Table::new(&[7; 32], "a");
        let bytes = sealed(&table);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(table.open(b"key", &mut changed), None, "byte {at}");
            assert_eq!(table.open(b"key", &mut bytes[..at].to_vec()), None, "cut after {at} bytes");
        }
    }
}
