//! The packed forms in which records cross between TypeScript and Rust. Numbers are u32, little-endian.
//!
//! A batch is a row of operations: table, length of the key, length of the value ([`ABSENT`]: the record is removed), key,
//! value. A page is a row of records: length of the key, length of the value ([`ABSENT`]: the value does not open), key,
//! value.

use crate::error::StoreError;

/// Stands for the length of a value that is not there.
pub const ABSENT: u32 = u32::MAX;

const WORD: usize = size_of::<u32>();

/// One write to a table, which the store numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    pub table: u32,
    pub key: &'a [u8],
    /// None: the record is removed.
    pub value: Option<&'a [u8]>,
}

/// Writes that are committed together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PackedBatch(Vec<u8>);

impl From<Vec<u8>> for PackedBatch {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl PackedBatch {
    pub fn push(&mut self, Operation { table, key, value }: Operation<'_>) {
        self.0.extend(table.to_le_bytes());
        push_record(&mut self.0, key, value);
    }

    /// The operations in their order.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the bytes are no batch.
    pub fn operations(&self) -> impl Iterator<Item = Result<Operation<'_>, StoreError>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let taken = take_operation(rest);
            rest = taken.map_or(&[], |(_, rest)| rest);
            let invalid = || StoreError::Invalid { what: "batch", detail: "an operation is cut off".into() };
            Some(taken.map(|(operation, _)| operation).ok_or_else(invalid))
        })
    }
}

fn take_operation(bytes: &[u8]) -> Option<(Operation<'_>, &[u8])> {
    let (table, bytes) = take_word(bytes)?;
    let ((key, value), rest) = take_record(bytes)?;
    Some((Operation { table, key, value }, rest))
}

/// Appends a record of a page.
pub(crate) fn push_record(page: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    page.extend((key.len() as u32).to_le_bytes());
    page.extend(value.map_or(ABSENT, |value| value.len() as u32).to_le_bytes());
    page.extend(key);
    page.extend(value.unwrap_or_default());
}

/// A key, and its value if that opened.
pub type PackedRecord<'a> = (&'a [u8], Option<&'a [u8]>);

/// The records of a page.
pub fn records(page: &[u8]) -> impl Iterator<Item = PackedRecord<'_>> {
    let mut rest = page;
    std::iter::from_fn(move || {
        let (record, after) = take_record(rest)?;
        rest = after;
        Some(record)
    })
}

fn take_record(bytes: &[u8]) -> Option<(PackedRecord<'_>, &[u8])> {
    let (key_length, bytes) = take_word(bytes)?;
    let (value_length, bytes) = take_word(bytes)?;
    let (key, bytes) = bytes.split_at_checked(key_length as usize)?;
    if value_length == ABSENT {
        return Some(((key, None), bytes));
    }
    let (value, rest) = bytes.split_at_checked(value_length as usize)?;
    Some(((key, Some(value)), rest))
}

fn take_word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<WORD>()?;
    Some((u32::from_le_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(operations: &[Operation<'_>]) -> PackedBatch {
        let mut batch = PackedBatch::default();
        operations.iter().for_each(|operation| batch.push(*operation));
        batch
    }

    #[test]
    fn operations_come_back_in_their_order() {
        let operations = [
            Operation { table: 0, key: b"one", value: Some(b"1") },
            Operation { table: 7, key: b"", value: Some(b"") },
            Operation { table: 1, key: b"one", value: None },
        ];
        let packed = batch(&operations);
        assert_eq!(packed.operations().collect::<Result<Vec<_>, _>>().unwrap(), operations);
    }

    #[test]
    fn a_batch_that_is_cut_off_is_refused() {
        let PackedBatch(bytes) = batch(&[Operation { table: 0, key: b"one", value: Some(b"1") }]);
        for length in 1..bytes.len() {
            let cut = PackedBatch(bytes[..length].to_vec());
            let error = cut.operations().find_map(Result::err).unwrap();
            assert_eq!(error.code(), "store_invalid", "{length} bytes");
        }
    }
}
