//! The packed form in which plans and events cross to TypeScript: little-endian 32-bit words.
//! `ts/engine/native/wire.ts` is the other half; a round-trip test in `test/contracts` holds them together.

use crate::error::EngineError;
use crate::event::{EngineEvent, Finish, Finished, RowResult, RowStatus, StepReply, TransferDone};
use crate::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, Transfer, TransferKind};

/// Words of one packed transfer: kind, id, two slots, valid length, key.
pub const TRANSFER_WORDS: usize = 13;

struct Words<'a> {
    rest: &'a [u32],
}

impl<'a> Words<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u32], EngineError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(EngineError::Protocol {
            detail: format!("plan ends {} words early", count - self.rest.len()),
        })?;
        self.rest = rest;
        Ok(head)
    }

    fn records<const N: usize>(&mut self, count: u32) -> Result<&'a [[u32; N]], EngineError> {
        Ok(self.take((count as usize).saturating_mul(N))?.as_chunks::<N>().0)
    }
}

/// Unpacks a plan: `[step, resets, tables, rows, saves]` counts, then the records in that order.
///
/// # Errors
/// [`EngineError::Protocol`] if the words do not add up.
pub fn decode_plan(words: &[u32]) -> Result<StepPlan, EngineError> {
    let mut words = Words { rest: words };
    let &[step, resets, tables, rows, saves] = words.take(5)? else { unreachable!("five words were taken") };
    let resets = words.take(resets as usize)?.to_vec();
    let tables = words.records::<3>(tables)?;
    let rows = words.records::<4>(rows)?;
    let saves = words.records::<5>(saves)?;
    Ok(StepPlan {
        step,
        resets,
        tables: tables.iter().map(|&[sequence, index, slot]| TableUpdate { sequence, index, slot }).collect(),
        rows: rows
            .iter()
            .map(|&[sequence, from, count, flags]| PlanRow { sequence, from, count, sample: flags & 1 == 1 })
            .collect(),
        saves: saves
            .iter()
            .map(|&[id, sequence, index, dram_slot, valid]| PlanSave {
                id,
                sequence,
                index,
                dram_slot,
                valid,
            })
            .collect(),
    })
}

/// Unpacks transfers of [`TRANSFER_WORDS`] words each.
///
/// # Errors
/// [`EngineError::Protocol`] for an unknown kind or a length that is not whole records.
pub fn decode_transfers(words: &[u32]) -> Result<Vec<Transfer>, EngineError> {
    let (records, rest) = words.as_chunks::<TRANSFER_WORDS>();
    if !rest.is_empty() {
        return Err(EngineError::Protocol {
            detail: format!("{} words after the last transfer", rest.len()),
        });
    }
    records.iter().map(decode_transfer).collect()
}

fn decode_transfer(words: &[u32; TRANSFER_WORDS]) -> Result<Transfer, EngineError> {
    let &[kind, id, a, b, valid, ref key_words @ ..] = words;
    let mut key = [0; 32];
    for (bytes, word) in key.as_chunks_mut::<4>().0.iter_mut().zip(key_words) {
        *bytes = word.to_le_bytes();
    }
    let kind = match kind {
        0 => TransferKind::Load { dram_slot: a, hbm_slot: b },
        1 => TransferKind::Save { hbm_slot: a, dram_slot: b, valid },
        2 => TransferKind::Read { ssd_slot: a, dram_slot: b, key, valid },
        3 => TransferKind::Write { dram_slot: a, ssd_slot: b, key, valid },
        4 => TransferKind::Copy { from_hbm_slot: a, to_hbm_slot: b, valid },
        5 => TransferKind::Flush,
        6 => TransferKind::Erase { ssd_slot: a },
        other => return Err(EngineError::Protocol { detail: format!("unknown transfer kind {other}") }),
    };
    Ok(Transfer { id, kind })
}

/// Appends one event: kind, length in bytes (both words included), payload.
pub fn encode_event(event: &EngineEvent, out: &mut Vec<u8>) {
    let start = out.len();
    let kind: u32 = match event {
        EngineEvent::Step(_) => 0,
        EngineEvent::Transfer(_) => 1,
        EngineEvent::Failed { .. } => 2,
    };
    word(out, kind);
    word(out, 0);
    match event {
        EngineEvent::Step(reply) => encode_step(reply, out),
        EngineEvent::Transfer(done) => encode_transfer_done(done, out),
        EngineEvent::Failed { code, message } => {
            text(out, code);
            text(out, message);
        }
    }
    let length = (out.len() - start) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Length in bytes, then UTF-8 padded to whole words.
fn text(out: &mut Vec<u8>, value: &str) {
    word(out, value.len() as u32);
    out.extend_from_slice(value.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
}

fn encode_transfer_done(done: &TransferDone, out: &mut Vec<u8>) {
    word(out, done.id);
    float(out, done.ms);
    word(out, done.bytes as u32);
    word(out, (done.bytes >> 32) as u32);
    text(out, done.error.as_ref().map_or("", |reason| reason.code));
    text(out, done.error.as_ref().map_or("", |reason| &reason.detail));
}

fn encode_step(reply: &StepReply, out: &mut Vec<u8>) {
    word(out, reply.step);
    float(out, reply.step_ms);
    float(out, reply.load_stall_ms);
    word(out, reply.stalled_layers);
    word(out, reply.rows.len() as u32);
    for row in &reply.rows {
        encode_row(row, out);
    }
}

const HAS_TOKEN: u32 = 1 << 2;
const HAS_LOGPROB: u32 = 1 << 3;
const HAS_FINISH: u32 = 1 << 4;
const HAS_TAIL_KEY: u32 = 1 << 5;

/// A row: sequence, flags (status in the low two bits), then only what the flags announce.
fn encode_row(row: &RowResult, out: &mut Vec<u8>) {
    let mut flags = match row.status {
        RowStatus::Ok => 0,
        RowStatus::Noop => 1,
        RowStatus::Void => 2,
        RowStatus::Late => 3,
    };
    let logprob = row.sampled.as_ref().and_then(|sampled| sampled.logprob);
    flags |= if row.sampled.is_some() { HAS_TOKEN } else { 0 };
    flags |= if logprob.is_some() { HAS_LOGPROB } else { 0 };
    flags |= if row.finished.is_some() { HAS_FINISH } else { 0 };
    flags |= if row.finished.as_ref().is_some_and(|f| f.tail_key.is_some()) { HAS_TAIL_KEY } else { 0 };
    word(out, row.sequence);
    word(out, flags);
    word(out, row.filled.len() as u32);
    for (index, key) in &row.filled {
        word(out, *index);
        out.extend_from_slice(key);
    }
    text(out, &row.text);
    if let Some(sampled) = &row.sampled {
        word(out, sampled.token);
        if let Some(logprob) = logprob {
            float(out, logprob);
            word(out, sampled.top.len() as u32);
            for &(token, logprob) in &sampled.top {
                word(out, token);
                float(out, logprob);
            }
        }
    }
    if let Some(finished) = &row.finished {
        encode_finished(finished, out);
    }
}

fn encode_finished(finished: &Finished, out: &mut Vec<u8>) {
    let (kind, token, stop) = match &finished.reason {
        Finish::EndToken => (0, 0, ""),
        Finish::StopToken(token) => (1, *token, ""),
        Finish::StopString(stop) => (2, 0, stop.as_str()),
        Finish::Length => (3, 0, ""),
        Finish::NoneAllowed => (4, 0, ""),
        Finish::ConstraintFailed => (5, 0, ""),
    };
    word(out, kind);
    word(out, token);
    text(out, stop);
    word(out, finished.inside_tokens);
    word(out, finished.inside_bytes);
    word(out, finished.computed_tokens);
    if let Some(key) = &finished.tail_key {
        out.extend_from_slice(key);
    }
}
