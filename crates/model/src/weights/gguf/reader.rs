//! A cursor over untrusted bytes. Every count is held against what is left of the file before it is believed,
//! so a damaged file can neither read outside itself nor make us allocate more than a small multiple of its size.

use std::ops::Range;

/// What is wrong, and at which byte; the caller adds the file's name.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Reader { bytes, position: position.min(bytes.len()) }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        if count > self.remaining() {
            return Err(format!(
                "truncated: {count} bytes wanted at byte {}, {} are left",
                self.position,
                self.remaining()
            ));
        }
        let start = self.position;
        self.position += count;
        Ok(&self.bytes[start..self.position])
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self) -> Parsed<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Parsed<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Parsed<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Parsed<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn f32(&mut self) -> Parsed<f32> {
        self.array().map(f32::from_le_bytes)
    }

    pub(super) fn f64(&mut self) -> Parsed<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A count of things of at least `least_bytes` each, refused if so many cannot follow.
    pub(super) fn count(&mut self, what: &str, least_bytes: usize) -> Parsed<usize> {
        let at = self.position;
        let count = self.u64()?;
        let most = (self.remaining() / least_bytes.max(1)) as u64;
        if count > most {
            return Err(format!("{count} {what} announced at byte {at}, at most {most} fit in the file"));
        }
        Ok(count as usize)
    }

    /// A string: its length in bytes (u64), then UTF-8.
    pub(super) fn string(&mut self) -> Parsed<&'a str> {
        let length = self.count("bytes of text", 1)?;
        let at = self.position;
        std::str::from_utf8(self.take(length)?).map_err(|_| format!("text at byte {at} is not UTF-8"))
    }

    /// Skips `count` elements of `bytes` each and says where they lie.
    pub(super) fn skip(&mut self, count: usize, bytes: usize) -> Parsed<Range<usize>> {
        let start = self.position;
        let length = count.checked_mul(bytes).ok_or_else(|| format!("array too long at byte {start}"))?;
        self.take(length)?;
        Ok(start..self.position)
    }
}
