//! The [`Backend`] of the CPU.

use std::sync::{Arc, OnceLock};

use attentionstore_kv::{BLOCK_TOKENS, KvDtype, KvLayout, SliceOrder};

use super::attend::queries_max;
use super::attention::AttentionScratch;
use super::buffer::Rows;
use super::compute::Compute;
use super::head::{LOGIT_ROWS, Logits};
use super::layer::{Activations, LayerPass, geometry};
use super::linear::sums_a_task;
use super::options::{CpuOptions, check_config};
use super::pool::Pool;
use super::rope::RopeTable;
use super::simd::{Available, Isa};
use super::slots::SlotArena;
use super::streams::Streams;
use super::weights::CpuWeights;
use super::workspace::Workspaces;
use crate::backend::step::{Limits, Step};
use crate::backend::{Backend, BatchSequence, Completion, Event, SliceCopy, SlotMemory, Stream};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::{SampleOutcome, SampleRequest, ScoreRequest, Scored, sample, score};
use crate::weights::ModelWeights;

/// A model on the CPU. Its results are the same bits whatever else is in the batch, however a prompt was cut into
/// steps, in which slots the blocks lie, and with how many threads and which instructions it runs.
pub struct CpuBackend {
    config: ModelConfig,
    weights: CpuWeights,
    rope: RopeTable,
    arena: Arc<SlotArena>,
    streams: Streams,
    compute: Compute,
    activations: Activations,
    logits: Logits,
    step: Step,
    limits: Limits,
}

impl CpuBackend {
    /// Repacks `weights` and allocates everything that a step needs.
    ///
    /// # Errors
    /// A configuration that contradicts itself, weights that do not fit it, an instruction set that this machine
    /// lacks, no memory or threads.
    pub fn new(config: ModelConfig, weights: &ModelWeights, options: CpuOptions) -> Result<Self, ModelError> {
        check_config(&config, &options)?;
        let isa = options.isa.unwrap_or_else(Isa::detect);
        let isa = Available::new(isa).ok_or_else(|| device(format!("no {} here", isa.name())))?;
        let arena = Arc::new(SlotArena::new(layout(&config, options.kv_dtype), options.slots)?);
        let positions = config.max_context.min(options.slots * BLOCK_TOKENS).max(BLOCK_TOKENS);
        let geometry = geometry(&config);
        let rows = options.max_batch_tokens;
        let scratch = || AttentionScratch::new(geometry, queries_max(geometry));
        let refused = |error: std::io::Error| device(error.to_string());
        Ok(CpuBackend {
            weights: CpuWeights::new(&config, weights, options.threads)?,
            rope: RopeTable::new(&config, positions)?,
            streams: Streams::new(arena.clone()).map_err(refused)?,
            compute: Compute {
                isa,
                pool: Pool::new(options.threads).map_err(refused)?,
                workspaces: Workspaces::new(options.threads, sums_a_task(rows.max(LOGIT_ROWS)), scratch),
                kept: Rows::new(0, 1),
            },
            activations: Activations::new(&config, rows),
            logits: Logits::new(&config),
            step: Step::default(),
            limits: Limits { vocabulary: config.vocab_size, slots: options.slots, rows, positions },
            arena,
            config,
        })
    }

    /// The layout that the slots of a backend for `config` have, to size tiers before there is one.
    pub fn layout_for(config: &ModelConfig, dtype: KvDtype) -> KvLayout {
        layout(config, dtype)
    }

    /// The instruction set that the kernels run on.
    pub fn isa(&self) -> Isa {
        self.compute.isa.isa()
    }

    /// Makes logit row `row` present, with those after it.
    fn compute_logits(&mut self, row: usize) -> Result<(), ModelError> {
        if self.logits.row(row).is_some() {
            return Ok(());
        }
        let rows = &self.step.logit_rows;
        if row >= rows.len() {
            let detail = format!("logit row {row} of {}", rows.len());
            return Err(ModelError::Invalid { what: "logits", detail });
        }
        let (compute, hidden) = (&mut self.compute, &self.activations.hidden);
        Ok(self.logits.compute(compute, &self.config, &self.weights, hidden, rows, row)?)
    }
}

fn device(detail: String) -> ModelError {
    ModelError::Device { device: "cpu".into(), detail }
}

fn layout(config: &ModelConfig, dtype: KvDtype) -> KvLayout {
    KvLayout {
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        dtype,
        order: SliceOrder::KeysByDim,
    }
}

impl Backend for CpuBackend {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn layout(&self) -> KvLayout {
        self.arena.layout
    }

    fn slots(&self) -> usize {
        self.arena.slots
    }

    fn slot_memory(&self) -> Option<Arc<dyn SlotMemory>> {
        Some(self.arena.clone())
    }

    fn max_batch_tokens(&self) -> usize {
        self.limits.rows
    }

    fn numerics_id(&self) -> String {
        // One name for all instruction sets and thread counts: they give the same bits. It changes with any
        // change of the order or kind of operations.
        "cpu-1".into()
    }

    fn describe(&self) -> String {
        format!("cpu ({}, {} threads)", self.isa().name(), self.compute.pool.threads())
    }

    fn begin_step(&mut self, batch: &[BatchSequence<'_>]) -> Result<(), ModelError> {
        self.step = Step::new(batch, self.limits)?;
        self.logits.clear();
        for (row, &token) in self.step.tokens.iter().enumerate() {
            let hidden = &mut self.activations.hidden.row_mut(row)[..self.config.hidden];
            self.weights.embedding.dequantize_row(token as usize, hidden);
        }
        Ok(())
    }

    fn run_layer(&mut self, layer: usize) -> Result<(), ModelError> {
        let Some(weights) = self.weights.layers.get(layer) else {
            let detail = format!("layer {layer} of {}", self.config.layers);
            return Err(ModelError::Invalid { what: "layer", detail });
        };
        let (config, rope, arena) = (&self.config, &self.rope, &*self.arena);
        let pass = LayerPass { config, weights, rope, arena, layer };
        pass.write_step(&mut self.compute, &mut self.activations, &self.step)?;
        if layer + 1 == config.layers {
            // What is left of the last layer is of use only where logits are wanted.
            for (to, from) in self.step.keep_logit_rows().into_iter().enumerate() {
                self.activations.move_row(from, to);
            }
        }
        Ok(pass.finish_step(&mut self.compute, &mut self.activations, &self.step)?)
    }

    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&request| requests[request].row);
        let sampled: Vec<OnceLock<SampleOutcome>> = requests.iter().map(|_| OnceLock::new()).collect();
        let mut order = order.as_slice();
        while let Some(&first) = order.first() {
            self.compute_logits(requests[first].row)?;
            let present = order.partition_point(|&request| self.logits.row(requests[request].row).is_some());
            let (now, later) = order.split_at(present);
            let logits = &self.logits;
            self.compute.pool.run(now.len(), &|task, _| {
                let request = &requests[now[task]];
                if let Some(logits) = logits.row(request.row) {
                    sampled[now[task]].get_or_init(|| sample(logits, request));
                }
            })?;
            order = later;
        }
        // A step whose history a copy thread failed to bring has computed over anything.
        self.streams.check()?;
        Ok(sampled.into_iter().filter_map(OnceLock::into_inner).collect())
    }

    fn score(&mut self, requests: &[ScoreRequest]) -> Result<Vec<Scored>, ModelError> {
        let mut scored = Vec::with_capacity(requests.len());
        let mut left = requests;
        while let Some(first) = left.first() {
            self.compute_logits(first.row)?;
            let present = left.partition_point(|request| self.logits.row(request.row).is_some());
            let (now, later) = left.split_at(present.max(1));
            let places: Vec<OnceLock<Scored>> = now.iter().map(|_| OnceLock::new()).collect();
            let logits = &self.logits;
            self.compute.pool.run(now.len(), &|task, _| {
                if let Some(logits) = logits.row(now[task].row) {
                    places[task].get_or_init(|| score(logits, &now[task]));
                }
            })?;
            scored.extend(places.into_iter().filter_map(OnceLock::into_inner));
            left = later;
        }
        Ok(scored)
    }

    fn read_logits(&mut self, row: usize, out: &mut [f32]) -> Result<(), ModelError> {
        if out.len() != self.config.vocab_size {
            let detail = format!("{} numbers for a vocabulary of {}", out.len(), self.config.vocab_size);
            return Err(ModelError::Invalid { what: "logits", detail });
        }
        self.compute_logits(row)?;
        out.copy_from_slice(self.logits.row(row).expect("just computed"));
        Ok(())
    }

    fn record(&mut self, stream: Stream) -> Event {
        self.streams.record(stream)
    }

    fn wait(&mut self, stream: Stream, event: Event) {
        self.streams.wait(stream, event);
    }

    fn is_done(&self, event: Event) -> bool {
        self.streams.is_done(event)
    }

    fn synchronize(&self, event: Event) {
        self.streams.synchronize(event);
    }

    fn notify(&mut self, stream: Stream, completion: Completion) {
        self.streams.notify(stream, completion);
    }

    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        self.streams.copy(stream, copies)
    }

    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError> {
        self.arena.copy_rows(from_slot, to_slot, valid)
    }
}
