//! The filters, tests and methods that a template names, charged before they are applied.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::charge::{Use, charge, settled};
use super::operations::{FILTER, METHOD, TEST, touch_container, values};
use super::rewrite::Names;

/// Filters that look at the list or map they are given, not at what lies in it.
const SHALLOW: [&str; 15] = [
    "length", "count", "first", "last", "default", "d", "attr", "list", "reverse", "items", "batch", "slice",
    "bool", "safe", "lines",
];
/// Filters that compare, but write nothing.
const COMPARING: [&str; 11] = [
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "sort",
    "unique",
    "min",
    "max",
    "groupby",
    "dictsort",
    "sum",
];
/// Of these, filters that look at every value more than once.
const SORTING: [&str; 4] = ["sort", "unique", "groupby", "dictsort"];
/// Filters that give back one of their values, which was charged when it was made.
const CHOOSING: [&str; 8] = ["first", "last", "default", "d", "attr", "min", "max", "safe"];
/// Tests that look at the kind of a value only.
const KIND_TESTS: [&str; 18] = [
    "undefined",
    "defined",
    "none",
    "safe",
    "escaped",
    "boolean",
    "odd",
    "even",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "true",
    "false",
];

/// Puts the operations that one template names into its environment.
pub(super) fn register(environment: &mut Environment<'static>, names: &Names) {
    for name in names {
        let own = name.clone();
        if let Some(filter) = name.strip_prefix(FILTER).map(str::to_owned) {
            environment.add_filter(own, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                apply_filter(state, &filter, &values(args))
            });
        } else if let Some(test) = name.strip_prefix(TEST).map(str::to_owned) {
            environment.add_filter(own, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                perform_test(state, &test, &values(args))
            });
        } else if let Some(method) = name.strip_prefix(METHOD).map(str::to_owned) {
            environment.add_filter(own, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                super::methods::call(state, &method, &values(args))
            });
        }
    }
}

fn apply_filter(state: &mut State, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some((first, rest)) = args.split_first() {
        let how = if COMPARING.contains(&name) { Use::Touch } else { Use::Copy };
        let sorts = SORTING.contains(&name);
        let items = if first.as_object().is_some() { first.len().unwrap_or(0) } else { 0 };
        if first.as_object().is_some() && !SHALLOW.contains(&name) {
            let rounds = if sorts { 1 + u64::from(items.max(1).ilog2()) } else { 1 };
            charge(state, first, how, rounds)?;
        }
        for value in rest {
            charge(state, value, how, 1 + items as u64)?;
        }
    }
    let made = state.apply_filter(name, args)?;
    made_of_values(state, made, CHOOSING.contains(&name))
}

/// What an operation gave back: a list in full, charged unless it was there before.
pub(super) fn made_of_values(state: &State, made: Value, was_there: bool) -> Result<Value, Error> {
    if was_there || made.as_object().is_none() {
        return Ok(made);
    }
    let made = settled(state, made)?;
    charge(state, &made, Use::Touch, 1)?;
    Ok(made)
}

fn perform_test(state: &mut State, name: &str, args: &[Value]) -> Result<bool, Error> {
    if name == "in" && args.len() == 2 {
        touch_container(state, &args[0], &args[1])?;
    } else if !KIND_TESTS.contains(&name) {
        args.iter().try_for_each(|value| {
            let how = if value.as_object().is_some() { Use::Copy } else { Use::Touch };
            charge(state, value, how, 1)
        })?;
    }
    state.perform_test(name, args)
}
