//! Values as little-endian 32-bit words: the alphabet of the wire. `ts/engine/native/words.ts` is the other half.

use crate::error::EngineError;

/// A value that crosses.
pub trait Wire: Sized {
    /// Fewest words of a value: more values than there is room for are refused before anything is allocated.
    const LEAST: usize;

    fn write(&self, out: &mut Vec<u8>);

    /// # Errors
    /// [`EngineError::Protocol`] if the words end early or have no meaning.
    fn read(words: &mut Words<'_>) -> Result<Self, EngineError>;
}

/// The words that are still to be read.
pub struct Words<'a> {
    rest: &'a [u32],
}

impl<'a> Words<'a> {
    pub fn new(words: &'a [u32]) -> Self {
        Self { rest: words }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The word that says which of `count` optional fields follow. Another bit is an error: no side knows what it would say.
    pub fn flags(&mut self, count: u32) -> Result<u32, EngineError> {
        let flags = u32::read(self)?;
        if flags >> count == 0 { Ok(flags) } else { Err(unknown("set of fields", flags)) }
    }

    /// A field that a record has where its flags have bit `bit`.
    pub fn optional<T: Wire>(&mut self, flags: u32, bit: u32) -> Result<Option<T>, EngineError> {
        if flags >> bit & 1 == 1 { T::read(self).map(Some) } else { Ok(None) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u32], EngineError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| EngineError::Protocol {
            detail: format!("the packed words end {} words early", count - self.rest.len()),
        })?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u32; N], EngineError> {
        Ok(self.take(N)?.as_chunks::<N>().0[0])
    }

    /// A count of values of at least `least` words each.
    fn count(&mut self, least: usize) -> Result<usize, EngineError> {
        let count = u32::read(self)? as usize;
        match count.saturating_mul(least).checked_sub(self.rest.len()) {
            None | Some(0) => Ok(count),
            Some(missing) => Err(EngineError::Protocol {
                detail: format!("the packed words end at least {missing} words early"),
            }),
        }
    }
}

/// The error for a number that stands for no `what`.
pub fn unknown(what: &str, number: u32) -> EngineError {
    EngineError::Protocol { detail: format!("the wire has no {what} of number {number}") }
}

impl Wire for u32 {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        let [word] = words.array()?;
        Ok(word)
    }
}

impl Wire for f32 {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        self.to_bits().write(out);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        u32::read(words).map(f32::from_bits)
    }
}

/// The low word first.
impl Wire for u64 {
    const LEAST: usize = 2;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        let [low, high] = words.array()?;
        Ok(u64::from(low) | u64::from(high) << 32)
    }
}

impl Wire for bool {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        u32::from(*self).write(out);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        match u32::read(words)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(unknown("bool", other)),
        }
    }
}

/// Length in bytes, then UTF-8 padded to whole words.
impl Wire for String {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        out.extend_from_slice(self.as_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        let length = u32::read(words)? as usize;
        let packed = words.take(length.div_ceil(4))?;
        let mut bytes: Vec<u8> = packed.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(length);
        String::from_utf8(bytes)
            .map_err(|_| EngineError::Protocol { detail: "a packed text is not UTF-8".into() })
    }
}

/// A block key.
impl Wire for [u8; 32] {
    const LEAST: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        let mut key = [0; 32];
        let words: [u32; 8] = words.array()?;
        for (bytes, word) in key.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Ok(key)
    }
}

impl<T: Wire> Wire for Vec<T> {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        let count = words.count(T::LEAST)?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::read(words)?);
        }
        Ok(values)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    const LEAST: usize = A::LEAST + B::LEAST;

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, EngineError> {
        Ok((A::read(words)?, B::read(words)?))
    }
}
