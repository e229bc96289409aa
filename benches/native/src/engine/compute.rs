//! Prefill and decode, and what saving everything costs them.

use std::time::Instant;

use attentionstore_engine::plan::{PlanRow, StepPlan, TableUpdate, TransferKind};
use attentionstore_kv::BLOCK_TOKENS;

use super::driver::{Driver, Prompt, Saving};
use super::{NEW_TOKENS, Session};
use crate::Outcome;
use crate::report::{Limit, Recorder, Unit};
use crate::statistics::{Samples, milliseconds};

/// Steps of a decode that do not count: the first ones take what their predecessors left.
const DECODE_WARM_UPS: usize = 3;
/// Batch of the decode that saves beside itself.
const SAVING_BATCH: usize = 16;

pub fn prefill(recorder: &mut Recorder, session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    for &tokens in &session.cases.prefill {
        let cases = ["", ", saving everything", ", waiting for saves"];
        let cases = cases.map(|case| format!("prefill/{tokens} tokens{case}"));
        if !cases.iter().any(|case| recorder.wants(case)) {
            continue;
        }
        let blocks = tokens.div_ceil(BLOCK_TOKENS);
        if blocks > driver.info.hbm_slots as usize || tokens >= driver.info.model_context {
            recorder.skip(&cases[0], format!("{blocks} blocks, the device holds {}", driver.info.hbm_slots));
            continue;
        }
        let slots: Vec<u32> = (0..blocks as u32).collect();
        let savings = [Saving::Nothing, Saving::Beside, Saving::AfterEachStep];
        // In turn, so that what disturbs the machine disturbs all.
        let mut times = [const { Vec::new() }; 3];
        for round in 0..=session.cases.rounds {
            for (saving, times) in savings.into_iter().zip(&mut times) {
                let start = Instant::now();
                let end = driver.compute(&Prompt { history: 0, new: tokens, slots: &slots, saving })?;
                driver.settle()?;
                if round > 0 {
                    times.push(milliseconds(end - start));
                }
            }
        }
        let [alone, beside, waiting] = times.map(Samples);
        let nothing = Limit { what: "saving nothing".to_owned(), value: alone.median() };
        recorder.figure(&cases[0], Unit::Milliseconds, alone, prefill_limit(session, 0, tokens));
        recorder.figure(&cases[1], Unit::Milliseconds, beside, Some(nothing.clone()));
        recorder.figure(&cases[2], Unit::Milliseconds, waiting, Some(nothing));
    }
    attention(recorder, session, driver)
}

/// All operations at the rate of the matrix product.
pub fn prefill_limit(session: &Session<'_>, history: usize, new: usize) -> Option<Limit> {
    let flops = session.shape.matrix_flops(new) + session.shape.attention_flops(history, new);
    let rate = session.limits.arithmetic.as_ref()?;
    Some(Limit { what: format!("arithmetic at {}", rate.what), value: flops / rate.value / 1e6 })
}

/// Attention of a turn's new tokens over its history: what the history adds to computing them.
fn attention(recorder: &mut Recorder, session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    let Some(&history) = session.cases.history.iter().max() else { return Ok(()) };
    let name = format!("attention/{NEW_TOKENS} tokens over {history}");
    let blocks = (history + NEW_TOKENS).div_ceil(BLOCK_TOKENS);
    if !recorder.wants(&name) || blocks > driver.info.hbm_slots as usize {
        return Ok(());
    }
    let slots: Vec<u32> = (0..blocks as u32).collect();
    let mut rates = Vec::new();
    for round in 0..=3 * session.cases.rounds {
        let mut time = |history: usize| -> Outcome<f64> {
            let start = Instant::now();
            let prompt = Prompt { history, new: NEW_TOKENS, slots: &slots, saving: Saving::Nothing };
            Ok((driver.compute(&prompt)? - start).as_secs_f64())
        };
        let (without, with) = (time(0)?, time(history)?);
        let flops =
            session.shape.attention_flops(history, NEW_TOKENS) - session.shape.attention_flops(0, NEW_TOKENS);
        if round > 0 && with > without {
            rates.push(flops / (with - without) / 1e9);
        }
    }
    if rates.is_empty() {
        recorder.skip(name, "the history took no time that could be told from the rest");
    } else {
        recorder.figure(name, Unit::Gigaflops, Samples(rates), session.limits.arithmetic.clone());
    }
    Ok(())
}

pub fn decode(recorder: &mut Recorder, session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    let context = session.cases.context;
    for &batch in &session.cases.decode {
        let name = format!("decode/batch {batch} at {context}");
        let saving_name = format!("{name}, saving everything");
        let needed = session.cases.decode_blocks(batch) + context.div_ceil(BLOCK_TOKENS) + 1;
        if ![&name, &saving_name].iter().any(|case| recorder.wants(case)) {
            continue;
        }
        if needed > driver.info.hbm_slots as usize {
            recorder.skip(name, format!("{needed} blocks, the device holds {}", driver.info.hbm_slots));
            continue;
        }
        prepare(session, driver)?;
        let steps = session.cases.decode_steps;
        let samples = decode_steps(session, driver, batch, steps, false)?;
        recorder.figure(name, Unit::Milliseconds, Samples(samples), decode_limit(session, batch));
        if batch == SAVING_BATCH && recorder.wants(&saving_name) {
            saving_decode(recorder, session, driver, &saving_name)?;
        }
    }
    Ok(())
}

/// Weights once and every sequence's keys and values, at the rate at which the memory reads, or the arithmetic if that
/// takes longer.
fn decode_limit(session: &Session<'_>, batch: usize) -> Option<Limit> {
    let (reads, arithmetic) = (session.limits.reads.as_ref()?, session.limits.arithmetic.as_ref());
    let bytes = session.shape.read_bytes + batch as f64 * session.shape.kv_bytes(session.cases.context);
    let read_ms = bytes / reads.value / 1e6;
    let flops = batch as f64
        * (session.shape.matrix_flops(1) + session.shape.attention_flops(session.cases.context, 1));
    let compute_ms = arithmetic.map_or(0.0, |rate| flops / rate.value / 1e6);
    let what = if read_ms >= compute_ms { "weights and KV read once" } else { "arithmetic" };
    Some(Limit { what: what.to_owned(), value: read_ms.max(compute_ms) })
}

/// Fills the first slots with the blocks that decoding sequences begin with.
fn prepare(session: &Session<'_>, driver: &mut Driver) -> Outcome<()> {
    let slots: Vec<u32> = (0..=session.cases.context.div_ceil(BLOCK_TOKENS) as u32).collect();
    let prompt = Prompt { history: 0, new: session.cases.context, slots: &slots, saving: Saving::Nothing };
    driver.compute(&prompt).map(drop)
}

/// Milliseconds of each step of `batch` sequences, each with a copy of the prepared blocks.
fn decode_steps(
    session: &Session<'_>,
    driver: &mut Driver,
    batch: usize,
    steps: usize,
    saving: bool,
) -> Outcome<Vec<f64>> {
    let context = session.cases.context;
    let prepared = context.div_ceil(BLOCK_TOKENS);
    let each = session.cases.decode_blocks(1);
    let first_slot = |place: usize| (prepared + 1 + place * each) as u32;
    let copies = (0..batch).flat_map(|place| {
        (0..prepared as u32).map(move |index| TransferKind::Copy {
            from_hbm_slot: index,
            to_hbm_slot: first_slot(place) + index,
            valid: BLOCK_TOKENS as u32,
        })
    });
    let copies: Vec<TransferKind> = copies.collect();
    driver.start(copies)?;
    driver.settle()?;
    // Staggered, so that not all fill a block in the same step.
    let starts: Vec<usize> =
        (0..batch).map(|place| context - place % BLOCK_TOKENS.min(context / 2)).collect();
    let sequences: Vec<u32> =
        starts.iter().map(|&start| driver.add(start, steps + DECODE_WARM_UPS + 1)).collect::<Outcome<_>>()?;
    let mut numbers = Vec::new();
    for step in 0..steps + DECODE_WARM_UPS {
        let plan = decode_plan(driver, &sequences, &starts, step, saving, each, first_slot);
        numbers.push(plan.step);
        driver.submit(&plan)?;
    }
    let replies = numbers.into_iter().map(|step| driver.reply(step)).collect::<Outcome<Vec<_>>>()?;
    driver.settle()?;
    sequences.into_iter().try_for_each(|sequence| driver.drop_sequence(sequence))?;
    let times = replies.windows(2).map(|pair| milliseconds(pair[1] - pair[0]));
    Ok(times.skip(DECODE_WARM_UPS - 1).collect())
}

fn decode_plan(
    driver: &mut Driver,
    sequences: &[u32],
    starts: &[usize],
    step: usize,
    saving: bool,
    each: usize,
    first_slot: impl Fn(usize) -> u32,
) -> StepPlan {
    let number = driver.next_number();
    let mut plan = StepPlan { step: number, ..StepPlan::default() };
    for (place, (&sequence, &start)) in sequences.iter().zip(starts).enumerate() {
        let from = start - 1 + step;
        if step == 0 {
            plan.tables.extend((0..each as u32).map(|index| TableUpdate {
                sequence,
                index,
                slot: first_slot(place) + index,
            }));
        }
        plan.rows.push(PlanRow { sequence, from: from as u32, count: 1, sample: true });
        if saving && (from + 1).is_multiple_of(BLOCK_TOKENS) {
            let mut save = driver.block_save(sequence, from / BLOCK_TOKENS);
            // Sequences save into slots of their own.
            save.dram_slot = place as u32;
            plan.saves.push(save);
        }
    }
    plan
}

/// The mean step over as many steps as a block has tokens, each sequence saving one: against saving nothing.
fn saving_decode(
    recorder: &mut Recorder,
    session: &Session<'_>,
    driver: &mut Driver,
    name: &str,
) -> Outcome<()> {
    if SAVING_BATCH > driver.info.dram_slots as usize {
        recorder.skip(name, "host memory holds too few blocks");
        return Ok(());
    }
    let mean = |times: Vec<f64>| times.iter().sum::<f64>() / times.len() as f64;
    let steps = if recorder.quick() { BLOCK_TOKENS / 2 } else { BLOCK_TOKENS };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..session.cases.rounds.min(3) {
        without.push(mean(decode_steps(session, driver, SAVING_BATCH, steps, false)?));
        with.push(mean(decode_steps(session, driver, SAVING_BATCH, steps, true)?));
    }
    let nothing = Limit { what: "saving nothing".to_owned(), value: Samples(without).median() };
    recorder.figure(name, Unit::Milliseconds, Samples(with), Some(nothing));
    Ok(())
}
