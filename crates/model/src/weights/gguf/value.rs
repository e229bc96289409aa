//! Metadata values. Arrays stay in the mapped file and are decoded when asked for.

use std::ops::Range;

use super::reader::{Parsed, Reader};

/// The element types of the format, by their numbers in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    fn read(reader: &mut Reader<'_>) -> Parsed<Self> {
        let at = reader.position();
        Ok(match reader.u32()? {
            0 => ValueType::U8,
            1 => ValueType::I8,
            2 => ValueType::U16,
            3 => ValueType::I16,
            4 => ValueType::U32,
            5 => ValueType::I32,
            6 => ValueType::F32,
            7 => ValueType::Bool,
            8 => ValueType::Text,
            9 => ValueType::Array,
            10 => ValueType::U64,
            11 => ValueType::I64,
            12 => ValueType::F64,
            other => return Err(format!("unknown value type {other} at byte {at}")),
        })
    }

    /// Bytes of one element; for text, the least it can take.
    fn bytes(self) -> usize {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::Text | ValueType::Array => 8,
        }
    }
}

/// One metadata value; numbers are widened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array { element: ValueType, count: usize, bytes: Range<usize> },
}

impl Value {
    /// A value with its type in front.
    pub(super) fn read(reader: &mut Reader<'_>) -> Parsed<Self> {
        match ValueType::read(reader)? {
            ValueType::Array => Self::read_array(reader),
            scalar => Self::read_scalar(reader, scalar),
        }
    }

    fn read_scalar(reader: &mut Reader<'_>, value_type: ValueType) -> Parsed<Self> {
        Ok(match value_type {
            ValueType::U8 => Value::Unsigned(reader.u8()?.into()),
            ValueType::U16 => Value::Unsigned(reader.u16()?.into()),
            ValueType::U32 => Value::Unsigned(reader.u32()?.into()),
            ValueType::U64 => Value::Unsigned(reader.u64()?),
            ValueType::I8 => Value::Signed((reader.u8()? as i8).into()),
            ValueType::I16 => Value::Signed((reader.u16()? as i16).into()),
            ValueType::I32 => Value::Signed((reader.u32()? as i32).into()),
            ValueType::I64 => Value::Signed(reader.u64()? as i64),
            ValueType::F32 => Value::Float(reader.f32()?.into()),
            ValueType::F64 => Value::Float(reader.f64()?),
            ValueType::Bool => Value::Bool(reader.u8()? != 0),
            ValueType::Text => Value::Text(reader.string()?.to_owned()),
            ValueType::Array => return Err("an array where one value was expected".to_owned()),
        })
    }

    /// Walks over an array without keeping its elements. Arrays of arrays exist in the format's text but in no
    /// model; refusing them keeps the walk free of recursion.
    fn read_array(reader: &mut Reader<'_>) -> Parsed<Self> {
        let element = ValueType::read(reader)?;
        if element == ValueType::Array {
            return Err(format!("array of arrays at byte {}", reader.position()));
        }
        let count = reader.count("array elements", element.bytes())?;
        let start = reader.position();
        if element == ValueType::Text {
            for _ in 0..count {
                reader.string()?;
            }
        } else {
            reader.skip(count, element.bytes())?;
        }
        Ok(Value::Array { element, count, bytes: start..reader.position() })
    }

    /// The value as an unsigned integer.
    pub(super) fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(value) => Some(*value),
            Value::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The value as an integer that may be negative.
    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Unsigned(value) => i64::try_from(*value).ok(),
            Value::Signed(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as a number.
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            Value::Unsigned(value) => Some(*value as f64),
            Value::Signed(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Decodes an array out of `file`, the bytes it was read from, element by element with `convert`.
    /// `None` if this is no array, or `convert` refuses an element.
    pub(super) fn elements<T>(&self, file: &[u8], convert: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array { element, count, bytes } = self else { return None };
        let mut reader = Reader::new(&file[..bytes.end], bytes.start);
        (0..*count).map(|_| Value::read_scalar(&mut reader, *element).ok().and_then(&convert)).collect()
    }
}
