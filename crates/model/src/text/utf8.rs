//! Bytes to text as they arrive: what `String::from_utf8_lossy` gives for the whole, a piece at a time.

/// Decodes a stream of bytes whose pieces may end inside a character.
///
/// Bytes that can no longer become a character turn into U+FFFD, one for each maximal subpart, exactly as
/// `String::from_utf8_lossy` does over the whole stream. Bytes that still can wait for the next piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utf8Stream {
    waiting: Vec<u8>,
}

impl Utf8Stream {
    /// Appends to `text` every character that is complete (or hopeless) after `bytes`.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.waiting.extend_from_slice(bytes);
        let mut done = 0;
        for chunk in self.waiting.utf8_chunks() {
            text.push_str(chunk.valid());
            done += chunk.valid().len();
            let broken = chunk.invalid();
            let may_continue = done + broken.len() == self.waiting.len() && is_prefix_of_character(broken);
            if broken.is_empty() || may_continue {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            done += broken.len();
        }
        self.waiting.drain(..done);
    }

    /// True when no bytes wait: the text so far ends where the bytes so far end.
    pub fn is_clean(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Whether more bytes could make `bytes` (an invalid chunk at the end of the input) one character.
fn is_prefix_of_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interesting_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 1..4),
            Just(vec![0xF0, 0x9F, 0x98]),
            Just(vec![0xE2, 0x82]),
            Just(vec![0xED, 0xA0, 0x80]),
        ];
        proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_stream_cut_anywhere_decodes_as_the_whole_does(
            bytes in interesting_bytes(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let (mut stream, mut text, mut start) = (Utf8Stream::default(), String::new(), 0);
            for end in ends {
                stream.push(&bytes[start..end], &mut text);
                start = end;
            }
            let whole = String::from_utf8_lossy(&bytes);
            if stream.is_clean() {
                prop_assert_eq!(text, whole);
            } else {
                let waiting = stream.waiting.len();
                prop_assert_eq!(&text, &String::from_utf8_lossy(&bytes[..bytes.len() - waiting]));
                prop_assert_eq!(format!("{text}\u{FFFD}"), whole);
            }
        }
    }
}
