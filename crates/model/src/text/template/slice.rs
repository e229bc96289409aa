//! `value[start:stop:step]` as Python cuts it, at once: the engine's own slices are promises.

use minijinja::value::{ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::charge::Meter;
use super::operations::list_like;

/// A list gives a list, a tuple a tuple, a string a string, nothing an empty list.
pub(super) fn slice(
    state: &State,
    value: &Value,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Value, Error> {
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "cannot slice by step size of 0"));
    }
    let (start, stop) = (bound(start)?, bound(stop)?);
    let mut meter = Meter::new(state);
    if let Some(text) = value.as_str() {
        // Characters out of order are laid out first, four bytes each.
        meter.add(text.len() as u64 * if step == 1 { 1 } else { 5 })?;
        meter.settle()?;
        return Ok(Value::from(slice_text(text, start, stop, step)));
    }
    if value.is_undefined() || value.kind() == ValueKind::None {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    let is_list = |repr| matches!(repr, ObjectRepr::Seq | ObjectRepr::Iterable);
    if value.as_object().is_none_or(|object| !is_list(object.repr())) {
        let detail = format!("value of type {} cannot be sliced", value.kind());
        return Err(Error::new(ErrorKind::InvalidOperation, detail));
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        meter.items(1)?;
        items.push(item?);
    }
    meter.settle()?;
    let kept = indices(items.len(), start, stop, step).map(|index| items[index].clone()).collect();
    Ok(list_like(value, kept))
}

fn bound(value: &Value) -> Result<Option<i64>, Error> {
    if value.is_none() { Ok(None) } else { i64::try_from(value.clone()).map(Some) }
}

fn slice_text(text: &str, start: Option<i64>, stop: Option<i64>, step: i64) -> String {
    if text.is_ascii() {
        let bytes = text.as_bytes();
        return indices(bytes.len(), start, stop, step).map(|index| char::from(bytes[index])).collect();
    }
    if step == 1 {
        let count = text.chars().count();
        let mut kept = indices(count, start, stop, step);
        let first = kept.next();
        return first
            .map_or_else(String::new, |first| text.chars().skip(first).take(1 + kept.count()).collect());
    }
    let chars: Vec<char> = text.chars().collect();
    indices(chars.len(), start, stop, step).map(|index| chars[index]).collect()
}

/// The places that Python's `slice.indices` names, in order.
fn indices(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
        bound.clamp(lowest, highest)
    };
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (first, last) = (start.map_or(first, clamp), stop.map_or(last, clamp));
    let inside = move |index: &i64| if step > 0 { *index < last } else { *index > last };
    std::iter::successors(Some(first), move |index| index.checked_add(step))
        .take_while(inside)
        .map(|index| index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_pythons() {
        let cut = |start, stop, step| slice_text("héllo wörld", start, stop, step);
        assert_eq!(cut(None, None, -1), "dlröw olléh");
        assert_eq!(cut(Some(1), Some(-1), 1), "éllo wörl");
        assert_eq!(cut(Some(-5), None, 2), "wrd");
        assert_eq!(cut(Some(8), Some(2), -3), "r ");
        assert_eq!(cut(Some(50), None, 1), "");
        assert_eq!(cut(Some(-50), Some(50), 1), "héllo wörld");
        assert_eq!(cut(Some(5), Some(5), -1), "");
        assert_eq!(cut(None, Some(0), -1), "dlröw ollé");
        assert_eq!(cut(Some(i64::MIN), Some(i64::MAX), i64::MAX), "h");
    }
}
