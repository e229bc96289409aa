//! What values cost: all that lies in them, however often it lies there. The engine charges for a list's slots when the
//! list is made; a list that holds one list twice, and that one another twice, has few slots and no end.

use minijinja::value::{ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

/// Values lie in one another at most this deep: comparing, printing and dropping take a stack frame a level.
pub(super) const MAX_DEPTH: usize = 100;

/// Units that one unit of the engine's fuel pays for; one byte made costs one.
const UNITS_PER_FUEL: u64 = 64;
/// Units for one value visited.
const VALUE: u64 = 32;
/// Units for one item of a list that was only promised.
const PROMISED: u64 = 8;
/// Fuel is taken in portions of this many units.
const PORTION: u64 = 16 * UNITS_PER_FUEL;

/// The use made of the bytes of a value's strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// They are compared or hashed.
    Touch,
    /// They are written to a new string.
    Copy,
}

/// Takes fuel for units of work, a portion at a time.
pub(super) struct Meter<'a, 'state, 'env> {
    state: &'a State<'state, 'env>,
    open: u64,
}

impl<'a, 'state, 'env> Meter<'a, 'state, 'env> {
    pub fn new(state: &'a State<'state, 'env>) -> Self {
        Self { state, open: 0 }
    }

    pub fn add(&mut self, units: u64) -> Result<(), Error> {
        self.open = self.open.saturating_add(units);
        if self.open >= PORTION { self.settle() } else { Ok(()) }
    }

    pub fn items(&mut self, count: usize) -> Result<(), Error> {
        self.add(VALUE.saturating_mul(count as u64))
    }

    /// Takes the fuel for what is still open.
    pub fn settle(&mut self) -> Result<(), Error> {
        let fuel = self.open / UNITS_PER_FUEL;
        self.open %= UNITS_PER_FUEL;
        if fuel > 0 { self.state.consume_fuel(fuel) } else { Ok(()) }
    }
}

/// Charges for a value with everything in it, `times` over. An error if it is deeper than [`MAX_DEPTH`].
pub(super) fn charge(state: &State<'_, '_>, value: &Value, how: Use, times: u64) -> Result<(), Error> {
    let mut meter = Meter::new(state);
    visit(&mut meter, value, how, times, 0)?;
    meter.settle()
}

fn visit(
    meter: &mut Meter<'_, '_, '_>,
    value: &Value,
    how: Use,
    times: u64,
    depth: usize,
) -> Result<(), Error> {
    if let Some(bytes) = value.as_str().map(str::len).or_else(|| value.as_bytes().map(<[u8]>::len)) {
        let units = if how == Use::Copy { bytes as u64 } else { bytes as u64 / 4 };
        return meter.add((VALUE + units).saturating_mul(times));
    }
    meter.add(VALUE.saturating_mul(times))?;
    let Some(object) = value.as_object() else { return Ok(()) };
    if depth == MAX_DEPTH {
        let detail = format!("values lie in one another more than {MAX_DEPTH} levels deep");
        return Err(Error::new(ErrorKind::InvalidOperation, detail));
    }
    if depth > 0 && is_namespace(value) {
        return Err(held_namespace());
    }
    match object.repr() {
        ObjectRepr::Map => {
            for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                visit(meter, &key, how, times, depth + 1)?;
                visit(meter, &value, how, times, depth + 1)?;
            }
        }
        ObjectRepr::Seq | ObjectRepr::Iterable => {
            for value in value.try_iter()?.checked() {
                visit(meter, &value?, how, times, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A list that is only promised (a slice, a sum, a map over a list) becomes the list that it stands for, so that no
/// promise stands on a promise.
pub(super) fn settled(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if value.as_object().is_none_or(|object| object.repr() != ObjectRepr::Iterable) {
        return Ok(value);
    }
    let mut meter = Meter::new(state);
    let mut items = Vec::new();
    // The engine charges for the list when it has it; until then there must be fuel for it.
    let most = state.fuel_levels().map_or(u64::MAX, |(_, left)| left.saturating_mul(UNITS_PER_FUEL) / VALUE);
    for item in value.try_iter()?.checked() {
        meter.add(if items.len() as u64 >= most { u64::MAX } else { PROMISED })?;
        items.push(item?);
    }
    meter.settle()?;
    Ok(if value.is_tuple() { Value::from(Tuple::from(items)) } else { Value::from(items) })
}

/// A namespace in another value could come to hold itself.
pub(super) fn held_namespace() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a namespace cannot be held by another value")
}

/// Whether a value is what `namespace()` makes: the one kind that changes after it is made.
pub(super) fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace"))
}
