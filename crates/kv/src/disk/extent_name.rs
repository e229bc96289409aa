//! Names of extents: they say whose slots a file holds, so that no server opens another one's as its own.

use std::path::Path;
use std::str::FromStr;

use xxhash_rust::xxh3::Xxh3;

use crate::header::{CODEC_PLAIN, fingerprint};
use crate::layout::KvLayout;

const PREFIX: &str = "slots-";
const SUFFIX: &str = ".kv";

/// Bytes of a whole extent, at most; it holds as many whole slots as fit.
pub(super) const EXTENT_BYTES: u64 = 1 << 30;

/// The blocks that an extent's slots may hold: their model, layout and codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(u64);

impl Owner {
    pub(super) fn of(layout: &KvLayout, model: &[u8; 32]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&fingerprint(layout, CODEC_PLAIN).to_le_bytes());
        hasher.update(model);
        Self(hasher.digest())
    }
}

/// 16 hexadecimal digits.
impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(drop)
    }
}

/// One extent: `slots-<bytes of a slot>-<owner>-<index>.kv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExtentName {
    pub(super) owner: Owner,
    pub(super) slot_bytes: u64,
    pub(super) index: u32,
}

/// A file of the tier's directory by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    Extent(ExtentName),
    /// The one preallocated file of a server before extents: no server reads it any more.
    Former,
    /// None of the tier's.
    Other,
}

impl ExtentName {
    pub(super) fn read(path: &Path) -> FileName {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let parts = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let parts: Vec<&str> = parts.map(|parts| parts.split('-').collect()).unwrap_or_default();
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        let index = |text: &str| number(text).and_then(|index| u32::try_from(index).ok());
        match parts[..] {
            [slot_bytes, owner, at] => match (number(slot_bytes), owner.parse(), index(at)) {
                (Some(slot_bytes @ 1..), Ok(owner), Some(index)) => {
                    FileName::Extent(Self { owner, slot_bytes, index })
                }
                _ => FileName::Other,
            },
            [slot_bytes, owner] if number(slot_bytes).is_some() && owner.parse::<Owner>().is_ok() => {
                FileName::Former
            }
            _ => FileName::Other,
        }
    }
}

impl std::fmt::Display for ExtentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, slot_bytes, index } = self;
        write!(f, "{PREFIX}{slot_bytes}-{owner}-{index}{SUFFIX}")
    }
}

/// Slots of a whole extent.
pub(super) fn slots_each(extent_bytes: u64, slot_bytes: u64) -> u32 {
    u32::try_from(extent_bytes / slot_bytes).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_what_it_was_made_of() {
        let name = ExtentName { owner: Owner(0x00ab_cdef_0123_4567), slot_bytes: 28_672, index: 1023 };
        assert_eq!(name.to_string(), "slots-28672-00abcdef01234567-1023.kv");
        assert_eq!(ExtentName::read(Path::new(&format!("/tier/{name}"))), FileName::Extent(name));
    }

    #[test]
    fn names_that_are_nearly_right_are_not_read() {
        for name in [
            "slots-28672-00abcdef01234567-07.kv",
            "slots-028672-00abcdef01234567-7.kv",
            "slots-0-00abcdef01234567-7.kv",
            "slots-28672-00ABCDEF01234567-7.kv",
            "slots-28672-00abcdef0123456-7.kv",
            "slots-28672-+0abcdef01234567-7.kv",
            "slots-28672-00abcdef01234567-4294967296.kv",
            "slots-28672-00abcdef01234567-7",
            "slots-directory.kv",
            "ssd.lock",
        ] {
            assert_eq!(ExtentName::read(Path::new(name)), FileName::Other, "{name}");
        }
        assert_eq!(ExtentName::read(Path::new("slots-28672-00abcdef01234567.kv")), FileName::Former);
    }
}
