//! One step: the model over KV blocks, with loads awaited and saves enqueued around each layer.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_model::backend::{BatchSequence, Stream};
use attentionstore_model::sampling::{SampleRequest, Scored};

use crate::constraint::Readiness;
use crate::error::EngineError;
use crate::event::{EngineEvent, RowResult, RowStatus, StepReply};
use crate::inbox::OrderedPlan;
use crate::plan::{PlanRow, PlanSave, StepPlan};
use crate::prompt_scores::logits_wanted;
use crate::saves::{Save, Saving, not_computed};
use crate::sequence::{Outcome, Sequence};
use crate::worker::Worker;

/// Rows from which on a step is long enough to start transfers beside it; a shorter one is over first.
const LONG_STEP_ROWS: u32 = 256;
/// How often a running step is asked whether it is over.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// Time lost to loads in one step.
#[derive(Default)]
struct Stalls {
    time: Duration,
    layers: u32,
}

/// What came of the rows of a step.
#[derive(Default)]
struct Computed {
    /// In the order of the rows that asked for a token.
    outcomes: Vec<Outcome>,
    /// Of prompt tokens, for each computed row group.
    scored: Vec<Vec<Scored>>,
}

impl Worker {
    /// Runs a plan and posts its reply.
    ///
    /// # Errors
    /// A plan that breaks the protocol, or a device that failed: the engine ends.
    pub(crate) fn run_step(&mut self, OrderedPlan { plan, after }: OrderedPlan) -> Result<(), EngineError> {
        let started = Instant::now();
        self.start_transfers_before(after);
        self.loads.collect();
        self.apply_tables(&plan)?;
        self.wait_for_late_masks(&plan.rows);
        let planned = self.fates(&plan.rows)?;
        let failures = self.loads.failures();
        let work: Vec<PlanRow> = plan
            .rows
            .iter()
            .zip(&planned)
            .filter(|(_, fate)| **fate == RowStatus::Ok)
            .map(|(row, _)| *row)
            .collect();
        let saves = self.step_saves(&plan, &work);
        let mut stalls = Stalls::default();
        let computed =
            if work.is_empty() { Computed::default() } else { self.compute(&work, saves, &mut stalls)? };
        // A load that failed between two layers makes rows void that were computed.
        let failed = self.loads.failures() != failures;
        let fates = if failed { Some(self.fates(&plan.rows)?) } else { None };
        let rows = self.results(&plan.rows, (&planned, fates.as_ref().unwrap_or(&planned)), computed);
        self.reply(plan.step, rows, started, &stalls);
        Ok(())
    }

    fn apply_tables(&mut self, plan: &StepPlan) -> Result<(), EngineError> {
        for sequence in &plan.resets {
            self.sequence_mut(*sequence)?.reset_table();
        }
        for update in &plan.tables {
            if update.slot as usize >= self.backend.slots() {
                let detail = format!("hbm slot {} of {}", update.slot, self.backend.slots());
                return Err(EngineError::Protocol { detail });
            }
            self.sequence_mut(update.sequence)?.set_slot(update.index as usize, update.slot)?;
        }
        Ok(())
    }

    /// Which rows are computed: not those of finished sequences, nor those whose history failed to load.
    fn fates(&mut self, rows: &[PlanRow]) -> Result<Vec<RowStatus>, EngineError> {
        rows.iter().map(|row| self.fate(row)).collect()
    }

    fn fate(&mut self, row: &PlanRow) -> Result<RowStatus, EngineError> {
        let sequence = self.sequence_mut(row.sequence)?;
        if sequence.finished() {
            return Ok(RowStatus::Noop);
        }
        // Void until its table is reset: a plan that was one ahead counts on a token that was never sampled.
        if sequence.is_void() {
            return Ok(RowStatus::Void);
        }
        if sequence.misses_token(row) {
            return Ok(RowStatus::Late);
        }
        sequence.check_row(row)?;
        // A row that was late once is computed when its mask is there: it costs the others no time until then.
        if row.sample && sequence.is_late() && sequence.readiness() == Readiness::Late {
            sequence.was_late();
            return Ok(RowStatus::Late);
        }
        let (position, slots) = sequence.seen_by(row);
        let (history, new) = split_history(position, &slots);
        if history.iter().any(|&slot| self.loads.has_failed(slot)) {
            self.sequence_mut(row.sequence)?.make_void();
            return Ok(RowStatus::Void);
        }
        new.iter().for_each(|&slot| self.loads.forgive(slot));
        Ok(RowStatus::Ok)
    }

    /// The saves of rows that are computed; the others are reported at once.
    fn step_saves(&self, plan: &StepPlan, work: &[PlanRow]) -> Vec<Saving> {
        let saving = |save: &PlanSave| {
            let row = work.iter().find(|row| row.sequence == save.sequence)?;
            let sequence = self.sequences.get(&save.sequence)?;
            let hbm_slot = sequence.slot(save.index as usize)?;
            let sources = self.loads.arrivals(sequence.seen_by(row).1.into_iter());
            let PlanSave { id, dram_slot, valid, .. } = *save;
            Some(Saving::new(Save { id, hbm_slot, dram_slot, valid }, sources))
        };
        let mut saves = Vec::with_capacity(plan.saves.len());
        for save in &plan.saves {
            match saving(save) {
                Some(saving) => saves.push(saving),
                None => self.report(save.id, Some(not_computed())),
            }
        }
        saves
    }

    /// The forward pass, sampling, and the scores of prompts.
    fn compute(
        &mut self,
        work: &[PlanRow],
        saves: Vec<Saving>,
        stalls: &mut Stalls,
    ) -> Result<Computed, EngineError> {
        let seen: Vec<(u32, Vec<u32>)> =
            work.iter().map(|row| self.sequences[&row.sequence].seen_by(row)).collect();
        let slots = seen.iter().flat_map(|(_, slots)| slots.iter().copied());
        let awaited = self.loads.awaited(slots);
        let batch: Vec<BatchSequence<'_>> = work
            .iter()
            .zip(&seen)
            .map(|(row, (position, slots))| batch_row(&self.sequences[&row.sequence], row, *position, slots))
            .collect();
        let failures = self.loads.failures();
        self.backend.begin_step(&batch)?;
        let mut saving = self.saves.begin(saves);
        for layer in 0..self.backend.layout().layers {
            self.take_transfers();
            let before = Instant::now();
            if self.loads.gate(self.backend.as_mut(), &awaited, layer) {
                stalls.time += before.elapsed();
                stalls.layers += 1;
            }
            self.backend.run_layer(layer)?;
            self.saves.layer(self.backend.as_mut(), &mut saving, layer);
        }
        if self.loads.failures() != failures {
            let lost = self.lost_slots(&seen);
            let lost = saving.saves_mut().filter(|saving| lost.contains(&saving.hbm_slot()));
            lost.for_each(|saving| saving.refuse(not_computed()));
        }
        self.saves.end(self.backend.as_mut(), saving);
        if work.iter().map(|row| row.count).sum::<u32>() >= LONG_STEP_ROWS {
            self.transfer_beside();
        }
        let outcomes = self.sample(work)?;
        let scored = self.score_prompts(work)?;
        self.loads.wait_for(&awaited);
        self.loads.release_others(self.backend.as_mut(), &awaited);
        Ok(Computed { outcomes, scored })
    }

    /// Slots of rows whose history failed to load after they were found fit to be computed.
    fn lost_slots(&self, seen: &[(u32, Vec<u32>)]) -> HashSet<u32> {
        let is_lost = |position: u32, slots: &[u32]| {
            split_history(position, slots).0.iter().any(|&slot| self.loads.has_failed(slot))
        };
        let lost = seen.iter().filter(|(position, slots)| is_lost(*position, slots));
        lost.flat_map(|(_, slots)| slots.iter().copied()).collect()
    }

    /// A device that computes by itself is still at the step's layers: what arrives meanwhile starts beside them.
    fn transfer_beside(&mut self) {
        let end = self.backend.record(Stream::Compute);
        while !self.backend.is_done(end) {
            if let Some(batch) = self.inbox.wait_for_transfers(LOOK_AGAIN) {
                self.transfer(batch);
            }
        }
    }

    /// Outcomes in the order of the rows that asked for a token.
    fn sample(&mut self, work: &[PlanRow]) -> Result<Vec<Outcome>, EngineError> {
        let (sampling, logit_rows): (Vec<&PlanRow>, Vec<(usize, usize)>) =
            work.iter().zip(self.logit_rows(work)).filter(|(row, _)| row.sample).unzip();
        let readiness = self.masks_for(&sampling, work.len());
        let banned: Vec<Vec<u32>> =
            sampling.iter().map(|row| self.sequences[&row.sequence].banned(&self.end_tokens)).collect();
        let requests: Vec<SampleRequest<'_>> = sampling
            .iter()
            .enumerate()
            .filter(|(at, _)| readiness[*at] == Readiness::Ready)
            .map(|(at, planned)| {
                let sequence = &self.sequences[&planned.sequence];
                let (first, rows) = logit_rows[at];
                SampleRequest {
                    row: first + rows - 1,
                    params: sequence.params(),
                    counts: sequence.counts(),
                    token_index: sequence.tokens().len() as u64,
                    banned: &banned[at],
                    mask: sequence.mask(),
                }
            })
            .collect();
        // Also with nothing to sample: a step is over, and known to have succeeded, when the device says so.
        let mut sampled = self.backend.sample(&requests)?.into_iter();
        let outcome = |readiness: Readiness| match readiness {
            Readiness::Ready => sampled.next().map(Outcome::Sampled),
            Readiness::Late => Some(Outcome::Late),
            Readiness::Ended => Some(Outcome::ConstraintFailed),
        };
        Ok(readiness.into_iter().filter_map(outcome).collect())
    }

    /// Moves every computed sequence on and describes each planned row. `planned` says which rows were computed, `fates`
    /// which of them hold.
    fn results(
        &mut self,
        rows: &[PlanRow],
        (planned, fates): (&[RowStatus], &[RowStatus]),
        computed: Computed,
    ) -> Vec<RowResult> {
        let (mut sampled, mut scored) = (computed.outcomes.into_iter(), computed.scored.into_iter());
        let mut results = Vec::with_capacity(rows.len());
        for ((row, planned), fate) in rows.iter().zip(planned).zip(fates) {
            let was_computed = *planned == RowStatus::Ok;
            let token = if row.sample && was_computed { sampled.next() } else { None };
            let scored = if was_computed { scored.next() } else { None };
            let sequence = self.sequences.get_mut(&row.sequence);
            let mut result = match (fate, sequence) {
                (RowStatus::Ok, Some(sequence)) => {
                    sequence.advance(row, token, (&self.keys, &self.end_tokens, &self.makers))
                }
                _ => RowResult::without_work(row.sequence, *fate),
            };
            if result.status == RowStatus::Ok {
                result.scored = scored.unwrap_or_default();
            }
            if result.status == RowStatus::Late {
                self.meters.mask.late_rows.fetch_add(1, Relaxed);
            }
            results.push(result);
        }
        results
    }

    fn reply(&self, step: u32, rows: Vec<RowResult>, started: Instant, stalls: &Stalls) {
        let time = started.elapsed();
        let meter = &self.meters.step;
        meter.steps.fetch_add(1, Relaxed);
        meter.compute_ns.fetch_add(time.saturating_sub(stalls.time).as_nanos() as u64, Relaxed);
        meter.stall_ns.fetch_add(stalls.time.as_nanos() as u64, Relaxed);
        meter.stalled_layers.fetch_add(u64::from(stalls.layers), Relaxed);
        self.outbox.post(&EngineEvent::Step(StepReply {
            step,
            rows,
            step_ms: time.as_secs_f32() * 1e3,
            load_stall_ms: stalls.time.as_secs_f32() * 1e3,
            stalled_layers: stalls.layers,
        }));
    }

    fn sequence_mut(&mut self, number: u32) -> Result<&mut Sequence, EngineError> {
        self.sequences
            .get_mut(&number)
            .ok_or_else(|| EngineError::Protocol { detail: format!("unknown sequence {number}") })
    }
}

/// The slots of a row from `position` on: those of blocks before it, the one it begins in included, and those after.
fn split_history(position: u32, slots: &[u32]) -> (&[u32], &[u32]) {
    slots.split_at((position as usize).div_ceil(BLOCK_TOKENS).min(slots.len()))
}

fn batch_row<'a>(
    sequence: &'a Sequence,
    row: &PlanRow,
    position: u32,
    slots: &'a [u32],
) -> BatchSequence<'a> {
    let (from, end) = (row.from as usize, (row.from + row.count) as usize);
    BatchSequence {
        tokens: &sequence.tokens()[from..end],
        position,
        slots,
        logits: logits_wanted(sequence, row),
    }
}
