//! GPT-2's byte alphabet: every byte as a printable character, so that a vocabulary of strings can hold any bytes.

/// Bytes that stand for themselves.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// Characters of the alphabet, by byte. The bytes that are not printable take the code points from 256 on, in order.
const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let (mut byte, mut next) = (0usize, 256u32);
    while byte < 256 {
        let code = if is_printable(byte as u8) {
            byte as u32
        } else {
            next += 1;
            next - 1
        };
        chars[byte] = match char::from_u32(code) {
            Some(char) => char,
            None => panic!("below the surrogates"),
        };
        byte += 1;
    }
    chars
};

/// Code points of the alphabet end here.
const CODES: usize = 256 + 68;

const BYTES: [Option<u8>; CODES] = {
    let mut bytes = [None; CODES];
    let mut byte = 0usize;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// The character that stands for `byte`.
pub(crate) fn char_of_byte(byte: u8) -> char {
    CHARS[byte as usize]
}

/// The byte that `char` stands for, if it is of the alphabet.
pub(crate) fn byte_of_char(char: char) -> Option<u8> {
    BYTES.get(char as usize).copied().flatten()
}

/// The token of each single byte, by byte.
pub(crate) fn byte_tokens() -> impl Iterator<Item = String> {
    CHARS.iter().map(char::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character_as_gpt2_gives_it() {
        assert_eq!(CHARS[b' ' as usize], 'Ġ');
        assert_eq!(CHARS[b'\n' as usize], 'Ċ');
        assert_eq!(CHARS[0xAD], 'Ń');
        assert_eq!(CHARS[b'a' as usize], 'a');
        for byte in 0..=255u8 {
            assert_eq!(byte_of_char(CHARS[byte as usize]), Some(byte));
        }
        assert_eq!(byte_of_char('\u{144}'), None);
        assert_eq!(byte_of_char('語'), None);
    }
}
