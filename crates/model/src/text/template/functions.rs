//! What the reference adds to Jinja for chat templates, and where Python prints differently.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::charge::{Meter, Use, charge};

/// What a template said when it called `raise_exception`.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Raised {}

/// `raise_exception(message)`: the template does not take the conversation.
pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// The message of `raise_exception`, if that is what ended the rendering.
pub(super) fn raised_message(error: &Error) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        cause = error.source();
    }
    None
}

/// Prints `True`, `False` and `None` as Python does; everything else as it is, charged before it is written.
pub(super) fn write_as_python(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let text = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => {
            if value.as_object().is_some() {
                charge(state, value, Use::Copy, 1)?;
            }
            return minijinja::escape_formatter(out, state, value);
        }
    };
    out.write_str(text).map_err(Error::from)
}

/// `tojson(indent=None, sort_keys=False)`: Python's `json.dumps` with `ensure_ascii=False`, which unlike Jinja's
/// own filter escapes nothing for HTML. Fuel pays for every value before it is written, and for the text as it grows.
pub(super) fn tojson(
    state: &State,
    value: Value,
    indent: Option<usize>,
    options: Kwargs,
) -> Result<Value, Error> {
    let indent = match options.get::<Option<usize>>("indent")? {
        Some(indent) => Some(indent.min(32)),
        None => indent.map(|indent| indent.min(32)),
    };
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    if options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: ensure_ascii=True is not supported"));
    }
    options.assert_all_used()?;
    charge(state, &value, Use::Copy, 1)?;
    let mut text = MeteredText { meter: Meter::new(state), bytes: Vec::new(), refused: None };
    let written = if sort {
        // A copy that can be sorted takes several times the values' own memory.
        charge(state, &value, Use::Copy, 6)?;
        serde_json::to_value(&value).and_then(|mut json| {
            json.sort_all_objects();
            write_json(&json, indent, &mut text)
        })
    } else {
        write_json(&value, indent, &mut text)
    };
    if let Some(refused) = text.refused {
        return Err(refused);
    }
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, "tojson").with_source(error))?;
    let text = String::from_utf8(text.bytes)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from(text))
}

fn write_json(
    value: &impl Serialize,
    indent: Option<usize>,
    out: &mut MeteredText<'_, '_, '_>,
) -> serde_json::Result<()> {
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width);
            let formatter = IndentedFormatter(PrettyFormatter::with_indent(spaces.as_bytes()));
            value.serialize(&mut Serializer::with_formatter(out, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(out, PythonFormatter)),
    }
}

/// Takes fuel for a text while it is written.
struct MeteredText<'a, 'state, 'env> {
    meter: Meter<'a, 'state, 'env>,
    bytes: Vec<u8>,
    /// Why no more is taken.
    refused: Option<Error>,
}

impl io::Write for MeteredText<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.meter.add(bytes.len() as u64) {
            self.refused = Some(error);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Python's default separators: `", "` and `": "`.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_float(value).as_bytes())
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Python's way to indent, with its numbers.
struct IndentedFormatter<'a>(PrettyFormatter<'a>);

impl Formatter for IndentedFormatter<'_> {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        PythonFormatter.write_f64(writer, value)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// A finite number as Python writes it: the shortest digits, with an exponent from 1e16 on and below 1e-4.
fn python_float(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        let written = [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1.5e300, 0.0001, 0.00001, -2.5e-7, 123_456_789.125]
            .map(python_float);
        let expected = [
            "0.0",
            "-0.0",
            "1.0",
            "0.1",
            "1000000000000000.0",
            "1e+16",
            "1.5e+300",
            "0.0001",
            "1e-05",
            "-2.5e-07",
            "123456789.125",
        ];
        assert_eq!(written, expected);
    }
}
