//! The [`Backend`] of a CUDA card.

use std::sync::Arc;

use attentionstore_cuda::blas::Blas;
use attentionstore_cuda::launch::{AttentionShape, Embedding};
use attentionstore_cuda::runtime::{DevicePointer, Graph};
use attentionstore_cuda::{CudaError, Device, Kernels};
use attentionstore_kv::KvLayout;
use attentionstore_kv::arena::HostArena;

use super::arrange::Arrangement;
use super::graphs::{GraphCache, Turn, pad};
use super::inputs::Inputs;
use super::layer::LayerPass;
use super::logits::{HeadPass, Logits};
use super::memory::{Region, Working};
use super::options::device_error;
use super::pinned::PinnedArenas;
use super::plan::{Sizes, layout_of};
use super::sample::{LogitRows, Sampler, sample_on_host};
use super::sample_plan::SamplePlan;
use super::streams::Streams;
use super::weights::CudaWeights;
use crate::backend::step::{Limits, Step};
use crate::backend::{Backend, BatchSequence, Completion, Event, PinnedMemory, SliceCopy, Stream};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::{SampleOutcome, SampleRequest, Sampled, ScoreRequest, Scored, score};

/// Raised with any change of a kernel that changes bits.
const KERNEL_GENERATION: u32 = 2;

/// Host memory that is registered in one call. The driver holds up what others ask of it meanwhile, so it is little.
const REGISTERED_AT_ONCE: usize = 8 << 20;

/// A model on a card. The same plan gives the same bits.
pub struct CudaBackend {
    pub(super) config: ModelConfig,
    pub(super) shape: AttentionShape,
    pub(super) layout: KvLayout,
    pub(super) limits: Limits,
    pub(super) sizes: Sizes,
    pub(super) ordinal: usize,
    pub(super) step: Arrangement,
    /// The step is one that graphs are kept for.
    pub(super) recorded: bool,
    /// See `rows_to_gather`, of the step that began last.
    pub(super) gathered: Option<usize>,
    /// Rows of slots were copied since the load stream last waited for the compute stream.
    pub(super) rows_copied: bool,
    // Dropped in this order, after `drop` has waited for the card.
    pub(super) graphs: GraphCache<Graph>,
    pub(super) streams: Streams,
    pub(super) inputs: Inputs,
    pub(super) sampler: Sampler,
    pub(super) logits: Logits,
    pub(super) working: Working,
    pub(super) blas: Blas,
    pub(super) weights: CudaWeights,
    pub(super) slots: Region,
    pub(super) working_region: Region,
    pub(super) kernels: Kernels,
    pub(super) pinned: PinnedArenas,
    pub(super) device: Device,
}

impl CudaBackend {
    /// The layout that the slots of a backend for `config` have.
    pub fn layout_for(config: &ModelConfig) -> KvLayout {
        layout_of(config)
    }

    pub(super) fn failed(&self, error: CudaError) -> ModelError {
        device_error(self.ordinal, &error)
    }

    /// One layer of all slots.
    fn layer_of_slots(&self, layer: usize) -> Result<DevicePointer, CudaError> {
        let bytes = self.limits.slots * self.layout.slice_bytes();
        self.slots.buffer().part(layer * bytes, bytes)
    }

    /// How many rows the last layer goes on with after its attention, if they are few enough to be worth gathering
    /// and to lie where they are gathered. A recorded layer keeps all its rows.
    fn rows_to_gather(&self) -> Option<usize> {
        let (wanted, rows) = (self.step.logit_rows.len(), self.step.rows());
        let fits = wanted * self.config.hidden * 4 <= self.working.qkv.bytes();
        (!self.recorded && wanted <= rows / 2 && fits).then_some(wanted)
    }

    fn enqueue_embedding(&mut self) -> Result<(), CudaError> {
        let stream = &self.streams.card.compute;
        self.inputs.send(&self.kernels, stream, &self.step)?;
        let launch = Embedding {
            rows: self.step.rows(),
            hidden: self.config.hidden,
            tokens: self.inputs.pointers.tokens,
            table: self.weights.embedding,
            residual: self.working.residual,
        };
        self.kernels.embedding(stream, &launch)
    }

    fn enqueue_layer(&mut self, layer: usize) -> Result<(), CudaError> {
        let slots = self.layer_of_slots(layer)?;
        let mut pass = LayerPass {
            config: &self.config,
            shape: self.shape,
            kernels: &self.kernels,
            blas: &mut self.blas,
            stream: &self.streams.card.compute,
            weights: &self.weights.layers[layer],
            working: self.working,
            inputs: &self.inputs.pointers,
            slots,
            is_first: layer == 0,
            only: self.gathered.filter(|_| layer + 1 == self.config.layers),
        };
        let (stream, step) = (&self.streams.card.compute, &self.step);
        match if self.recorded { self.graphs.layer(layer) } else { Turn::Plain } {
            Turn::Plain => pass.run(step),
            Turn::Launch(graph) => graph.launch(stream),
            Turn::Record(place) => place.insert(Graph::record(stream, || pass.run(step))?).launch(stream),
        }
    }

    /// Makes logit row `row` present on the card, with those after it.
    fn compute_logits(&mut self, row: usize) -> Result<(), ModelError> {
        let count = self.step.logit_rows.len();
        if row >= count {
            return Err(ModelError::Invalid {
                what: "logits",
                detail: format!("logit row {row} of {count}"),
            });
        }
        let pass = HeadPass {
            config: &self.config,
            kernels: &self.kernels,
            blas: &mut self.blas,
            stream: &self.streams.card.compute,
            weights: &self.weights,
            working: if self.gathered.is_some() { self.working.gathered() } else { self.working },
            logit_rows: self.gathered.is_none().then_some(self.inputs.pointers.logit_rows),
            count,
        };
        self.logits.make_present(pass, row).map_err(|error| device_error(self.ordinal, &error))
    }

    /// A row of logits that is present.
    fn row_of_logits(&self, place: usize) -> Result<Vec<f32>, CudaError> {
        let mut logits = vec![0.0; self.config.vocab_size];
        self.download_row(place, &mut logits)?;
        Ok(logits)
    }

    /// The same, into `out`.
    fn download_row(&self, place: usize, out: &mut [f32]) -> Result<(), CudaError> {
        let mut bytes = vec![0; out.len() * 4];
        let offset = self.working_region.offset_of(self.working.logits) + place * bytes.len();
        self.working_region.buffer().read(&self.streams.card.compute, offset, &mut bytes)?;
        let values = bytes.as_chunks::<4>().0;
        out.iter_mut().zip(values).for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes));
        Ok(())
    }

    /// Samples requests whose rows are present.
    fn sample_present(&mut self, requests: &[&SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError> {
        let placed: Vec<_> =
            requests.iter().filter_map(|request| Some((*request, self.logits.place(request.row)?))).collect();
        let vocabulary = self.config.vocab_size;
        let plan = SamplePlan::new(&placed, vocabulary);
        let rows = LogitRows { logits: self.working.logits, rows: self.logits.rows(), vocabulary };
        let stream = &self.streams.card.compute;
        let answers = self.sampler.run(&self.kernels, stream, rows, &plan);
        let answers = answers.map_err(|error| self.failed(error))?;
        // Few rows are left to the host, but one takes it milliseconds: all of them at once.
        let left = placed.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
        let rows = left.map(|(&(request, place), _)| Ok((request, self.row_of_logits(place)?)));
        let rows = rows.collect::<Result<Vec<_>, CudaError>>().map_err(|error| self.failed(error))?;
        let mut sampled = sample_on_host(&rows)?.into_iter();
        let outcome = |answer: Option<Sampled>| answer.map(SampleOutcome::Token).or_else(|| sampled.next());
        Ok(answers.into_iter().filter_map(outcome).collect())
    }
}

impl CudaBackend {
    /// Scores tokens whose rows are present.
    fn score_present(&mut self, requests: &[ScoreRequest]) -> Result<Vec<Scored>, ModelError> {
        let placed: Vec<_> =
            requests.iter().filter_map(|request| Some((*request, self.logits.place(request.row)?))).collect();
        let vocabulary = self.config.vocab_size;
        let rows = LogitRows { logits: self.working.logits, rows: self.logits.rows(), vocabulary };
        let scored = self.sampler.score(&self.kernels, &self.streams.card.compute, rows, &placed);
        let scored = scored.map_err(|error| self.failed(error))?;
        let or_by_host = |((request, place), scored): (&(ScoreRequest, usize), Option<Scored>)| match scored {
            Some(scored) => Ok(scored),
            None => Ok(score(&self.row_of_logits(*place)?, request)),
        };
        let scored: Result<Vec<Scored>, CudaError> = placed.iter().zip(scored).map(or_by_host).collect();
        scored.map_err(|error| self.failed(error))
    }
}

impl Backend for CudaBackend {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn layout(&self) -> KvLayout {
        self.layout
    }

    fn slots(&self) -> usize {
        self.limits.slots
    }

    fn max_batch_tokens(&self) -> usize {
        self.limits.rows
    }

    fn numerics_id(&self) -> String {
        let (major, minor) = self.device.info().capability;
        // The library chooses the order of a product's sums, by its version.
        format!("cuda-{KERNEL_GENERATION}-sm_{major}{minor}-blas-{}", self.blas.version())
    }

    fn describe(&self) -> String {
        format!("cuda:{} ({})", self.ordinal, self.device.info().name)
    }

    fn begin_step(&mut self, batch: &[BatchSequence<'_>]) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        let step = Step::new(batch, self.limits)?;
        self.step = Arrangement::new(&step, &self.shape, self.sizes.dense_keys());
        let shape = pad(&mut self.step, self.limits.rows, self.sizes.positions);
        self.recorded = shape.is_some();
        self.gathered = self.rows_to_gather();
        if let Some(shape) = shape {
            self.graphs.begin(shape);
        }
        self.logits.clear();
        self.enqueue_embedding().map_err(|error| self.failed(error))
    }

    fn run_layer(&mut self, layer: usize) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        if layer >= self.config.layers {
            let detail = format!("layer {layer} of {}", self.config.layers);
            return Err(ModelError::Invalid { what: "layer", detail });
        }
        self.enqueue_layer(layer).map_err(|error| self.failed(error))
    }

    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&request| requests[request].row);
        let mut sampled: Vec<Option<SampleOutcome>> = vec![None; requests.len()];
        let mut order = order.as_slice();
        while let Some(&first) = order.first() {
            self.compute_logits(requests[first].row)?;
            let present =
                order.partition_point(|&request| self.logits.place(requests[request].row).is_some());
            let (now, later) = order.split_at(present.min(self.sizes.logit_rows()));
            let named: Vec<&SampleRequest<'_>> = now.iter().map(|&request| &requests[request]).collect();
            for (&request, answer) in now.iter().zip(self.sample_present(&named)?) {
                sampled[request] = Some(answer);
            }
            order = later;
        }
        // A step ends when the card has computed it: also one that samples nothing.
        self.streams.card.compute.synchronize().map_err(|error| self.failed(error))?;
        self.streams.failure.check()?;
        Ok(sampled.into_iter().flatten().collect())
    }

    fn score(&mut self, requests: &[ScoreRequest]) -> Result<Vec<Scored>, ModelError> {
        let mut scored = Vec::with_capacity(requests.len());
        let mut left = requests;
        while let Some(first) = left.first() {
            self.compute_logits(first.row)?;
            let present = left.partition_point(|request| self.logits.place(request.row).is_some());
            let (now, later) = left.split_at(present.clamp(1, self.sizes.logit_rows()));
            scored.extend(self.score_present(now)?);
            left = later;
        }
        self.streams.failure.check()?;
        Ok(scored)
    }

    fn read_logits(&mut self, row: usize, out: &mut [f32]) -> Result<(), ModelError> {
        if out.len() != self.config.vocab_size {
            let detail = format!("{} numbers for a vocabulary of {}", out.len(), self.config.vocab_size);
            return Err(ModelError::Invalid { what: "logits", detail });
        }
        self.compute_logits(row)?;
        let place = self.logits.place(row).unwrap_or_default();
        self.download_row(place, out).map_err(|error| self.failed(error))
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

    fn pin(&mut self, memory: Arc<HostArena>) -> Option<Arc<dyn PinnedMemory>> {
        Some(self.pin_in_parts(memory, REGISTERED_AT_ONCE))
    }

    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        self.copy_slices(stream, copies)
    }

    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError> {
        self.copy_slot_rows(from_slot, to_slot, valid)
    }
}

impl CudaBackend {
    /// As [`Backend::pin`], registered in parts of `part_bytes`, whole pages: copies are split at their borders.
    pub fn pin_in_parts(&mut self, memory: Arc<HostArena>, part_bytes: usize) -> Arc<dyn PinnedMemory> {
        self.pinned.add(&self.device, self.ordinal, memory, part_bytes)
    }
}

impl Drop for CudaBackend {
    fn drop(&mut self) {
        // Nothing may be freed that the card still reads or writes.
        self.streams.drain();
    }
}
