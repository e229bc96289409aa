//! What a template does to values, charged by what lies in them before it is done. `rewrite.rs` puts these in the place
//! of the engine's own instructions, filters, tests and methods.

use minijinja::value::{Kwargs, ObjectRepr, Rest, Tuple, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value, functions, tests};

use super::charge::{Meter, Use, charge, held_namespace, is_namespace, settled};

pub(super) const FILTER: &str = "filter:";
pub(super) const TEST: &str = "test:";
pub(super) const METHOD: &str = "method:";
/// Stands for an operation without a name; there is none.
pub(super) const UNKNOWN: &str = "op:unknown";

pub(super) const EQ: &str = "op:eq";
pub(super) const NE: &str = "op:ne";
pub(super) const LT: &str = "op:lt";
pub(super) const LTE: &str = "op:lte";
pub(super) const GT: &str = "op:gt";
pub(super) const GTE: &str = "op:gte";
pub(super) const IN: &str = "op:in";
pub(super) const ITEM: &str = "op:item";
pub(super) const SLICE: &str = "op:slice";
pub(super) const MAP: &str = "op:map";
pub(super) const KWARGS: &str = "op:kwargs";
pub(super) const DEPTH: &str = "op:depth";
pub(super) const SETTLE: &str = "op:settle";
pub(super) const STORABLE: &str = "op:storable";
pub(super) const TOUCH: &str = "op:touch";
pub(super) const COPY: &str = "op:copy";

/// Puts the operations that every template has into the environment.
pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter(EQ, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a == b));
    environment.add_filter(NE, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a != b));
    environment.add_filter(LT, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a < b));
    environment.add_filter(LTE, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a <= b));
    environment.add_filter(GT, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a > b));
    environment.add_filter(GTE, |state: &State, a: &Value, b: &Value| compared(state, a, b).map(|()| a >= b));
    environment.add_filter(IN, contains);
    environment.add_filter(ITEM, item);
    environment.add_filter(SLICE, super::slice::slice);
    environment.add_filter(MAP, map);
    environment.add_filter(KWARGS, kwargs);
    environment.add_filter(DEPTH, |state: &State, value: Value| {
        charge(state, &value, Use::Touch, 1).map(|()| value)
    });
    environment.add_filter(TOUCH, |state: &State, value: Value| {
        charge(state, &value, Use::Touch, 1).map(|()| value)
    });
    environment.add_filter(COPY, copied);
    environment.add_filter(SETTLE, |state: &State, value: Value| settled(state, value));
    environment.add_filter(STORABLE, storable);
    environment.add_function("namespace", |state: &State, args: Rest<ValueOrKwargs>| {
        let args = values(args);
        for map in &args {
            charge(state, map, Use::Touch, 1)?;
        }
        let (defaults,) = from_args(&args)?;
        functions::namespace(defaults)
    });
    environment.add_function("dict", |state: &State, value: Option<Value>, more: Kwargs| {
        let made = functions::dict(value, more)?;
        charge(state, &made, Use::Touch, 1).map(|()| made)
    });
    // No template of the reference has these; the first prints everything there is, the others promise lists of lists.
    environment.remove_global("debug");
    environment.remove_filter("chain");
    environment.remove_filter("zip");
}

pub(super) fn values(args: Rest<ValueOrKwargs>) -> Vec<Value> {
    args.0.into_iter().map(ValueOrKwargs::into_value).collect()
}

fn compared(state: &State, a: &Value, b: &Value) -> Result<(), Error> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => {
            let mut meter = Meter::new(state);
            meter.add(a.len().min(b.len()) as u64 / 4)?;
            meter.settle()
        }
        _ if a.as_object().is_some() && b.as_object().is_some() => {
            charge(state, a, Use::Touch, 2)?;
            charge(state, b, Use::Touch, 2)
        }
        _ => Ok(()),
    }
}

pub(super) fn touch_container(state: &State, value: &Value, container: &Value) -> Result<(), Error> {
    match container.as_object().map(|object| object.repr()) {
        Some(ObjectRepr::Map | ObjectRepr::Plain) => charge(state, value, Use::Touch, 1),
        Some(_) => charge(state, container, Use::Touch, 1),
        None => charge(state, value, Use::Copy, 1),
    }
}

fn contains(state: &State, value: &Value, container: &Value) -> Result<bool, Error> {
    let can_hold =
        container.as_str().is_some() || container.as_object().is_some() || container.is_undefined();
    if !can_hold {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "cannot perform a containment check on this value",
        ));
    }
    touch_container(state, value, container)?;
    let found = tests::is_in(state, value, container)?;
    // The test hides that fuel ran out.
    state.consume_fuel(0).map(|()| found)
}

/// `container[key]`; a string's characters are counted from its beginning.
fn item(state: &State, container: &Value, key: &Value) -> Result<Value, Error> {
    charge(state, key, Use::Touch, 1)?;
    if let Some(object) = container.as_object().filter(|object| object.repr() == ObjectRepr::Iterable) {
        let mut meter = Meter::new(state);
        meter.items(object.enumerator_len().unwrap_or(0))?;
        meter.settle()?;
    }
    container.get_item(key)
}

/// A map of keys and values by turns.
fn map(state: &State, flat: Rest<Value>) -> Result<Value, Error> {
    for key in flat.iter().step_by(2) {
        charge(state, key, Use::Touch, 1)?;
    }
    let map = Value::from_pairs(flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
    charge(state, &map, Use::Touch, 1).map(|()| map)
}

/// `f(**a, **b)`: one set of keyword arguments.
fn kwargs(state: &State, maps: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut merged: Vec<(String, Value)> = Vec::new();
    for map in &values(maps) {
        let object = map.as_object().filter(|object| object.repr() == ObjectRepr::Map);
        let pairs = object.and_then(|object| object.try_iter_pairs()).ok_or_else(|| {
            let detail = format!("keyword arguments must come from a map, not from {}", map.kind());
            Error::new(ErrorKind::InvalidOperation, detail)
        })?;
        charge(state, map, Use::Touch, 1)?;
        for (key, value) in pairs {
            let key = key.as_str().ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, "names of keyword arguments must be strings")
            })?;
            merged.push((key.to_owned(), value));
        }
    }
    Ok(merged.into_iter().collect::<Kwargs>().into())
}

/// Strings were charged when they were made, and the engine charges the one they are copied to.
fn copied(state: &State, value: Value) -> Result<Value, Error> {
    if value.as_object().is_some() {
        charge(state, &value, Use::Copy, 1)?;
    }
    Ok(value)
}

/// No container holds a namespace, so only the value itself can be one.
fn storable(value: Value) -> Result<Value, Error> {
    if is_namespace(&value) { Err(held_namespace()) } else { Ok(value) }
}

/// A list or, of a tuple, a tuple.
pub(super) fn list_like(value: &Value, items: Vec<Value>) -> Value {
    if value.is_tuple() { Value::from(Tuple::from(items)) } else { Value::from(items) }
}
