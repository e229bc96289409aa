//! Prefill and decode, and what saving everything costs them.

use std::time::Instant;

use attentionstore_engine::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, TransferKind};
use attentionstore_kv::BLOCK_TOKENS;

use super::driver::{Driver, Prompt, Saving};
use super::{NEW_TOKENS, Session};
use crate::Outcome;
use crate::report::{Limit, Recorder, Unit};
use crate::statistics::{Samples, milliseconds, repeat};

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
            let (hbm_slots, model_context) = (driver.info.hbm_slots, driver.info.model_context);
            let why = format!("{blocks} blocks in {hbm_slots}, a context of {model_context} tokens");
            recorder.skip(&cases[0], why);
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
    let held = |&&history: &&usize| history + NEW_TOKENS < driver.info.model_context;
    let Some(&history) = session.cases.history.iter().filter(held).max() else { return Ok(()) };
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
        let samples = repeat(1, session.cases.rounds, || decode_steps(session, driver, batch, steps, false))?;
        recorder.figure(name, Unit::Milliseconds, samples, decode_limit(session, batch));
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

/// Sequences that decode together, each in slots of its own after those of the prepared blocks.
struct Batch {
    sequences: Vec<u32>,
    /// Tokens of each before its answer. Staggered, so that not all fill a block in the same step.
    starts: Vec<usize>,
    /// Most tokens of each answer.
    answers: usize,
    /// Slots that each sequence has room in.
    blocks_each: usize,
    first_slot: usize,
    saving: bool,
}

impl Batch {
    fn new(
        session: &Session<'_>,
        driver: &mut Driver,
        size: usize,
        answers: usize,
        saving: bool,
    ) -> Outcome<Self> {
        let context = session.cases.context;
        let starts: Vec<usize> =
            (0..size).map(|place| context - place % BLOCK_TOKENS.min(context / 2)).collect();
        let sequences = starts.iter().map(|&start| driver.add(start, answers)).collect::<Outcome<_>>()?;
        Ok(Self {
            sequences,
            starts,
            answers,
            blocks_each: session.cases.decode_blocks(1),
            first_slot: context.div_ceil(BLOCK_TOKENS) + 1,
            saving,
        })
    }

    fn slot(&self, place: usize, index: usize) -> u32 {
        (self.first_slot + place * self.blocks_each + index) as u32
    }

    /// Copies of the prepared blocks, for every sequence.
    fn copies(&self) -> Vec<TransferKind> {
        let prepared = self.first_slot - 1;
        let places =
            (0..self.sequences.len()).flat_map(|place| (0..prepared).map(move |index| (place, index)));
        places
            .map(|(place, index)| TransferKind::Copy {
                from_hbm_slot: index as u32,
                to_hbm_slot: self.slot(place, index),
                valid: BLOCK_TOKENS as u32,
            })
            .collect()
    }

    /// The `step`-th step: a token of each sequence, and the saves of the blocks that are filled.
    fn plan(&self, driver: &mut Driver, step: usize) -> StepPlan {
        let number = driver.next_number();
        let mut plan = StepPlan { step: number, ..StepPlan::default() };
        for (place, (&sequence, &start)) in self.sequences.iter().zip(&self.starts).enumerate() {
            let from = start - 1 + step;
            if step == 0 {
                // As many as the longest answer reaches; the engine refuses more.
                let blocks = (start + self.answers).div_ceil(BLOCK_TOKENS).min(self.blocks_each);
                plan.tables.extend((0..blocks).map(|index| TableUpdate {
                    sequence,
                    index: index as u32,
                    slot: self.slot(place, index),
                }));
            }
            plan.rows.push(PlanRow { sequence, from: from as u32, count: 1, sample: true });
            if self.saving && (from + 1).is_multiple_of(BLOCK_TOKENS) {
                let save = driver.block_save(sequence, from / BLOCK_TOKENS);
                // Sequences save into slots of their own.
                plan.saves.push(PlanSave { dram_slot: place as u32, ..save });
            }
        }
        plan
    }
}

/// Milliseconds a step of `size` sequences, the mean of `steps` in a row: replies of short steps arrive together.
fn decode_steps(
    session: &Session<'_>,
    driver: &mut Driver,
    size: usize,
    steps: usize,
    saving: bool,
) -> Outcome<f64> {
    let batch = Batch::new(session, driver, size, steps + DECODE_WARM_UPS + 1, saving)?;
    driver.start(batch.copies())?;
    driver.settle()?;
    let mut numbers = Vec::new();
    for step in 0..steps + DECODE_WARM_UPS {
        let plan = batch.plan(driver, step);
        numbers.push(plan.step);
        driver.submit(&plan)?;
    }
    let replies = numbers.into_iter().map(|step| driver.reply(step)).collect::<Outcome<Vec<_>>>()?;
    driver.settle()?;
    batch.sequences.into_iter().try_for_each(|sequence| driver.drop_sequence(sequence))?;
    let (first, last) = (replies[DECODE_WARM_UPS - 1], replies[replies.len() - 1]);
    Ok(milliseconds(last - first) / steps as f64)
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
    let steps = if recorder.quick() { BLOCK_TOKENS / 2 } else { BLOCK_TOKENS };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..session.cases.rounds.min(3) {
        without.push(decode_steps(session, driver, SAVING_BATCH, steps, false)?);
        with.push(decode_steps(session, driver, SAVING_BATCH, steps, true)?);
    }
    let nothing = Limit { what: "saving nothing".to_owned(), value: Samples(without).median() };
    recorder.figure(name, Unit::Milliseconds, Samples(with), Some(nothing));
    Ok(())
}
