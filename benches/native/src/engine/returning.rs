//! A turn that returns to a history: from each tier, and with each ablation of the paper (§3.2) alone.

use std::time::Instant;

use attentionstore_engine::plan::TransferKind;
use attentionstore_kv::BLOCK_TOKENS;

use super::compute::prefill_limit;
use super::driver::{Driver, Prompt, Saving};
use super::tiers::{IN_FLIGHT, KEY, move_all, written};
use super::{NEW_TOKENS, Session};
use crate::Outcome;
use crate::report::{Limit, Recorder, Unit};
use crate::statistics::{Samples, milliseconds, repeat};

const VALID: u32 = BLOCK_TOKENS as u32;
/// Read buffers, in layers loaded ahead of the running one.
const READ_BUFFERS: [usize; 2] = [1, 4];

/// Where a history is before the turn, and how it is brought to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Hbm,
    Dram,
    /// As `Dram`, but nothing is computed before all of it is there.
    DramWithoutPreload,
    Ssd,
}

pub fn measure(recorder: &mut Recorder, session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    for &history in &session.cases.history {
        let name = |case: &str| format!("returning/{history} + {NEW_TOKENS} {case}");
        let cases = ["from hbm", "from dram", "from dram, no preload", "from ssd"].map(name);
        if !cases.iter().any(|case| recorder.wants(case))
            || !fits(recorder, session, driver, history, &cases[1])
        {
            continue;
        }
        place(driver, history)?;
        let ways = [From::Hbm, From::Dram, From::DramWithoutPreload, From::Ssd];
        let [hbm, dram, waiting, ssd] = turns(session, driver, history, ways)?;
        let compute_ms = hbm.median();
        let (loaded, read) =
            (load_limit(session, history, compute_ms), read_limit(session, history, compute_ms));
        recorder.figure(&cases[0], Unit::Milliseconds, hbm, prefill_limit(session, history, NEW_TOKENS));
        recorder.figure(&cases[1], Unit::Milliseconds, dram, loaded.clone());
        recorder.figure(&cases[2], Unit::Milliseconds, waiting, loaded);
        recorder.figure(&cases[3], Unit::Milliseconds, ssd, read);
        compare(recorder, session, driver, history)?;
    }
    Ok(())
}

/// Computing everything: what the history saves.
fn compare(
    recorder: &mut Recorder,
    session: &Session<'_>,
    driver: &mut Driver,
    history: usize,
) -> Outcome<()> {
    let name = format!("returning/{history} + {NEW_TOKENS} computing everything");
    if !recorder.wants(&name) {
        return Ok(());
    }
    let slots: Vec<u32> = (0..blocks_of(history) as u32).collect();
    let new = history + NEW_TOKENS;
    let rounds = if recorder.quick() { 1 } else { session.cases.rounds.min(3) };
    let samples = repeat(0, rounds, || -> Outcome<f64> {
        let start = Instant::now();
        Ok(milliseconds(
            driver.compute(&Prompt { history: 0, new, slots: &slots, saving: Saving::Nothing })? - start,
        ))
    })?;
    recorder.figure(name, Unit::Milliseconds, samples, prefill_limit(session, 0, new));
    Ok(())
}

/// The same turn with other read buffers, on engines of their own.
pub fn read_buffers(recorder: &mut Recorder, session: &Session<'_>) -> Outcome<()> {
    let Some(&history) = session.cases.history.iter().max() else { return Ok(()) };
    for layers in READ_BUFFERS {
        let name = format!("returning/{history} + {NEW_TOKENS} from dram, {layers} layers ahead");
        if !recorder.wants(&name) {
            continue;
        }
        let mut driver = session.open(Some(layers))?;
        if !fits(recorder, session, &driver, history, &name) {
            continue;
        }
        place(&mut driver, history)?;
        let [hbm, dram] = turns(session, &mut driver, history, [From::Hbm, From::Dram])?;
        recorder.figure(name, Unit::Milliseconds, dram, load_limit(session, history, hbm.median()));
    }
    Ok(())
}

fn blocks_of(history: usize) -> usize {
    (history + NEW_TOKENS).div_ceil(BLOCK_TOKENS)
}

/// Says by name what does not fit.
fn fits(recorder: &mut Recorder, session: &Session<'_>, driver: &Driver, history: usize, name: &str) -> bool {
    let needed = 2 * blocks_of(history);
    let (hbm, dram, context) =
        (driver.info.hbm_slots as usize, driver.info.dram_slots as usize, driver.info.model_context);
    if history + NEW_TOKENS >= context.min(session.shape.config.max_context) {
        recorder.skip(name, format!("the model's context has {context} tokens"));
        return false;
    }
    if needed > hbm || needed > dram {
        recorder.skip(name, format!("{needed} blocks, the device holds {hbm} and host memory {dram}"));
        return false;
    }
    true
}

/// Computes a history into the first slots of hbm, and copies it to dram and ssd.
fn place(driver: &mut Driver, history: usize) -> Outcome<()> {
    let blocks = history / BLOCK_TOKENS;
    let slots: Vec<u32> = (0..blocks as u32).collect();
    driver.compute(&Prompt { history: 0, new: history, slots: &slots, saving: Saving::Beside })?;
    driver.settle()?;
    let write = |slot| TransferKind::Write { dram_slot: slot, ssd_slot: slot, block: written() };
    move_all(driver, blocks as u32, true, &write).map(drop)
}

/// Every way once a round, in turn: what disturbs the machine disturbs all.
fn turns<const N: usize>(
    session: &Session<'_>,
    driver: &mut Driver,
    history: usize,
    ways: [From; N],
) -> Outcome<[Samples; N]> {
    let mut times = [const { Vec::new() }; N];
    // The movements are short and disturbed easily: more rounds than of a whole prefill.
    for round in 0..2 * session.cases.rounds + 2 {
        for (way, times) in ways.into_iter().zip(&mut times) {
            let time = turn(driver, history, way)?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times.map(Samples))
}

/// Milliseconds from the first movement to the first token.
fn turn(driver: &mut Driver, history: usize, from: From) -> Outcome<f64> {
    let blocks = (history / BLOCK_TOKENS) as u32;
    // Loaded into other slots than the ones it was computed in.
    let first = if from == From::Hbm { 0 } else { blocks_of(history) as u32 };
    let slots: Vec<u32> = (first..first + blocks_of(history) as u32).collect();
    let load = |dram_slot: u32, index: u32| TransferKind::Load { dram_slot, hbm_slot: first + index };
    let start = Instant::now();
    match from {
        From::Hbm => {}
        From::Dram => drop(driver.start((0..blocks).map(|index| load(index, index)))?),
        From::DramWithoutPreload => {
            driver.start((0..blocks).map(|index| load(index, index)))?;
            driver.settle()?;
        }
        From::Ssd => read_and_load(driver, blocks, &load)?,
    }
    let end = driver.compute(&Prompt { history, new: NEW_TOKENS, slots: &slots, saving: Saving::Nothing })?;
    driver.settle()?;
    Ok(milliseconds(end - start))
}

/// Reads blocks into dram slots of their own and loads each as it arrives; returns when the last is on its way.
fn read_and_load(driver: &mut Driver, blocks: u32, load: &dyn Fn(u32, u32) -> TransferKind) -> Outcome<()> {
    // Beside the copies that are in dram already.
    let place = |index: u32| blocks + 1 + index;
    let read =
        |index| TransferKind::Read { ssd_slot: index, dram_slot: place(index), key: KEY, valid: VALID };
    let all: Vec<u32> = (0..blocks).collect();
    for part in all.chunks(IN_FLIGHT) {
        let ids = driver.start(part.iter().map(|&index| read(index)))?;
        let block_of: std::collections::HashMap<u32, u32> =
            ids.iter().copied().zip(part.iter().copied()).collect();
        let mut waiting = ids;
        while !waiting.is_empty() {
            let arrived = driver.settle_some(&mut waiting)?;
            driver.start(arrived.iter().map(|id| block_of[id]).map(|index| load(place(index), index)))?;
        }
    }
    Ok(())
}

/// The longer of moving the history and computing the new tokens.
fn load_limit(session: &Session<'_>, history: usize, compute_ms: f64) -> Option<Limit> {
    let load_ms = session.shape.kv_bytes(history) / session.limits.loads.as_ref()?.value / 1e6;
    let what = if load_ms > compute_ms { "the load" } else { "the computation from hbm" };
    Some(Limit { what: what.to_owned(), value: load_ms.max(compute_ms) })
}

/// Reading the history and computing the new tokens: attention in layer 0 needs the last block, so one follows the other.
fn read_limit(session: &Session<'_>, history: usize, compute_ms: f64) -> Option<Limit> {
    let read_ms = session.shape.kv_bytes(history) / session.limits.disk_reads.as_ref()?.value / 1e6;
    Some(Limit { what: "the read, then the computation".to_owned(), value: read_ms + compute_ms })
}
