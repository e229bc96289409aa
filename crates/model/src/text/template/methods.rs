//! Python's methods, charged before they are called: what they write may be larger than what they are given.

use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, State, Value};

use super::charge::{Meter, Use, charge};
use super::named::made_of_values;

/// Units for one piece that a string is split into.
const PIECE: u64 = 64;

/// `value.method(...)`, with the value as the first of `args`.
pub(super) fn call(state: &mut State, method: &str, args: &[Value]) -> Result<Value, Error> {
    let Some((value, rest)) = args.split_first() else { return state.apply_filter("", args) };
    for argument in rest {
        // What a macro is given is only handed on.
        if value.kind() != ValueKind::Map || method == "get" {
            let how = if argument.as_object().is_some() { Use::Copy } else { Use::Touch };
            charge(state, argument, how, 1)?;
        }
    }
    match (value.as_str(), method) {
        (Some(text), "split") => pieces(state, text, rest.first().and_then(Value::as_str))?,
        (Some(text), "splitlines") => pieces(state, text, Some("\n"))?,
        (Some(text), "format") => formatted(state, text, rest)?,
        (Some(separator), "join") => return joined(state, separator, rest),
        (None, "count") => charge(state, value, Use::Touch, 1)?,
        _ => {}
    }
    let made = value.call_method(state, method, rest)?;
    made_of_values(state, made, method == "get")
}

/// `separator.join(values)`, in memory of the result's size: the method itself grows what it writes by doubling.
fn joined(state: &State, separator: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (values,): (&Value,) = from_args(arguments)?;
    let mut meter = Meter::new(state);
    let mut parts: Vec<Value> = Vec::new();
    let mut bytes = 0;
    for value in values.try_iter()?.checked() {
        let value = value?;
        let part = if value.as_str().is_some() { value } else { Value::from(value.to_string()) };
        bytes += part.as_str().map_or(0, str::len) + if parts.is_empty() { 0 } else { separator.len() };
        meter.items(1)?;
        meter.add(part.as_str().map_or(0, str::len) as u64 + separator.len() as u64)?;
        parts.push(part);
    }
    meter.settle()?;
    let mut text = String::with_capacity(bytes);
    for (index, part) in parts.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { separator });
        text.push_str(part.as_str().unwrap_or(""));
    }
    Ok(Value::from(text))
}

fn pieces(state: &State, text: &str, separator: Option<&str>) -> Result<(), Error> {
    let count = match separator {
        Some("") => text.len(),
        Some(separator) => text.matches(separator).count(),
        None => text.split_whitespace().count(),
    };
    let mut meter = Meter::new(state);
    meter.add(PIECE.saturating_mul(count as u64))?;
    meter.settle()
}

/// `str.format` may write every argument at every place, each as wide as a number in the format, or among the arguments,
/// says.
fn formatted(state: &State, format: &str, arguments: &[Value]) -> Result<(), Error> {
    let places = format.matches('{').count() as u64;
    for argument in arguments {
        charge(state, argument, Use::Copy, places)?;
    }
    let numbers = format.split(|char: char| !char.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let widths = numbers.map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX));
    let nested = format.contains(":{") || format.contains(".{") || format.contains("{}}");
    let given =
        arguments.iter().filter(|_| nested).filter_map(|argument| u64::try_from(argument.clone()).ok());
    let total = widths.chain(given).fold(0u64, |total, width| total.saturating_add(width));
    let mut meter = Meter::new(state);
    meter.add(total)?;
    meter.settle()
}
