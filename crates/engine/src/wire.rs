//! The packed form in which plans, transfers and events cross to TypeScript: little-endian 32-bit words.
//! `crates/engine/wire.json` describes it and `scripts/wire` writes both halves: `wire/generated.rs` and
//! `ts/engine/native/wire.generated.ts`. The reading of what is told and the writing of what is sent serve tests and
//! measurements, which stand in for TypeScript.

#[rustfmt::skip]
mod generated;
mod words;

use crate::error::EngineError;
use crate::event::EngineEvent;
use crate::plan::{StepPlan, Transfer};
use words::{Wire, Words};

/// Unpacks a plan.
///
/// # Errors
/// [`EngineError::Protocol`] if the words do not add up.
pub fn decode_plan(words: &[u32]) -> Result<StepPlan, EngineError> {
    let mut words = Words::new(words);
    let plan = StepPlan::read(&mut words)?;
    match words.left() {
        0 => Ok(plan),
        left => Err(EngineError::Protocol { detail: format!("{left} words after the plan") }),
    }
}

/// Unpacks transfers that stand one after another.
///
/// # Errors
/// [`EngineError::Protocol`] for an unknown kind, or words that end inside a transfer.
pub fn decode_transfers(words: &[u32]) -> Result<Vec<Transfer>, EngineError> {
    read_all(words)
}

/// Appends one event.
pub fn encode_event(event: &EngineEvent, out: &mut Vec<u8>) {
    event.write(out);
}

/// Packs a plan as TypeScript does.
pub fn encode_plan(plan: &StepPlan) -> Vec<u32> {
    packed(std::slice::from_ref(plan))
}

/// Packs transfers as TypeScript does.
pub fn encode_transfers(transfers: &[Transfer]) -> Vec<u32> {
    packed(transfers)
}

/// Unpacks events that stand one after another, as TypeScript does.
///
/// # Errors
/// [`EngineError::Protocol`] if the bytes are no events.
pub fn decode_events(bytes: &[u8]) -> Result<Vec<EngineEvent>, EngineError> {
    read_all(&words_of(bytes))
}

fn read_all<T: Wire>(words: &[u32]) -> Result<Vec<T>, EngineError> {
    let mut words = Words::new(words);
    let mut values = Vec::new();
    while words.left() > 0 {
        values.push(T::read(&mut words)?);
    }
    Ok(values)
}

fn packed<T: Wire>(values: &[T]) -> Vec<u32> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| value.write(&mut bytes));
    words_of(&bytes)
}

fn words_of(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}
