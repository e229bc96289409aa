//! The [`Backend`] of a CUDA card.

use std::sync::Arc;

use attentionstore_cuda::blas::Blas;
use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::{AttentionShape, CopyRows, Embedding, rope_table};
use attentionstore_cuda::runtime::{DevicePointer, Graph, MemoryCopy, bytes_of, copy_batch, copy_each};
use attentionstore_cuda::{CudaError, Device, Kernels};
use attentionstore_kv::arena::HostArena;
use attentionstore_kv::{BLOCK_TOKENS, KvDtype, KvError, KvLayout, SliceOrder};

use super::arrange::Arrangement;
use super::graphs::{GraphCache, Turn, pad};
use super::inputs::Inputs;
use super::layer::LayerPass;
use super::logits::{HeadPass, Logits};
use super::memory::{Region, Working};
use super::options::{CudaOptions, check_config, device_error};
use super::pinned::PinnedMemory;
use super::plan::{MemoryPlan, Sizes, weight_bytes};
use super::sample::{LogitRows, SamplePlan, Sampler};
use super::streams::Streams;
use super::weights::{CudaWeights, UploadError};
use crate::backend::step::{Limits, Step};
use crate::backend::{Backend, BatchSequence, Completion, Event, SliceCopy, Stream};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::{SampleRequest, Sampled, sample};
use crate::weights::ModelWeights;

/// Raised with any change of a kernel that changes bits.
const KERNEL_GENERATION: u32 = 1;

/// A model on a card. The same plan gives the same bits.
pub struct CudaBackend {
    config: ModelConfig,
    shape: AttentionShape,
    layout: KvLayout,
    limits: Limits,
    sizes: Sizes,
    ordinal: usize,
    step: Arrangement,
    /// The step is one that graphs are kept for.
    recorded: bool,
    /// Rows of slots were copied since the load stream last waited for the compute stream.
    rows_copied: bool,
    // Dropped in this order, after `drop` has waited for the card.
    graphs: GraphCache<Graph>,
    streams: Streams,
    inputs: Inputs,
    sampler: Sampler,
    logits: Logits,
    working: Working,
    blas: Blas,
    weights: CudaWeights,
    slots: Region,
    _working_region: Region,
    kernels: Kernels,
    pinned: PinnedMemory,
    device: Device,
}

/// Whether a model can be computed here, and what its slots look like, before anything is loaded.
fn layout_of(config: &ModelConfig) -> KvLayout {
    KvLayout {
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        dtype: KvDtype::Bf16,
        order: SliceOrder::TokensFirst,
    }
}

impl CudaBackend {
    /// Opens a card, compiles what its cache does not have, plans its memory, uploads `weights`.
    ///
    /// # Errors
    /// No driver, card, compiler or library of products; a model that the kernels cannot do or the card cannot
    /// hold; weights that do not fit `config`.
    pub fn new(
        config: ModelConfig,
        weights: &ModelWeights,
        options: &CudaOptions,
    ) -> Result<Self, ModelError> {
        let shape = check_config(&config)?;
        if weights.layers.len() != config.layers {
            let detail = format!("{} layers, the configuration has {}", weights.layers.len(), config.layers);
            return Err(ModelError::Invalid { what: "weights", detail });
        }
        if options.max_batch_tokens == 0 {
            return Err(ModelError::Invalid { what: "cuda backend", detail: "max_batch_tokens is 0".into() });
        }
        let ordinal = options.ordinal;
        let failed = |error: CudaError| device_error(ordinal, &error);
        let device = Device::open(ordinal).map_err(failed)?;
        let streams = Streams::new(&device, ordinal)?;
        let compiler = Nvrtc::open(None).map_err(|error| failed(error.into()))?;
        let cache = KernelCache::new(&options.kernel_cache);
        let kernels = Kernels::load(&device, &compiler, &cache).map_err(failed)?;
        let layout = layout_of(&config);
        let mut sizes = Sizes {
            shape,
            hidden: config.hidden,
            intermediate: config.intermediate,
            vocabulary: config.vocab_size,
            rows: options.max_batch_tokens,
            positions: config.max_context.max(BLOCK_TOKENS),
            multiprocessors: device.multiprocessors(),
        };
        let memory = device.memory().map_err(failed)?;
        let working = sizes.working().total();
        let plan = MemoryPlan::new(weight_bytes(&config), working, &layout, memory, options.hbm_bytes)?;
        sizes.positions = sizes.positions.min(plan.slots * BLOCK_TOKENS).max(BLOCK_TOKENS);
        let weights = CudaWeights::upload(&device, &streams.card.compute, &config, weights);
        let weights = weights.map_err(|error| match error {
            UploadError::Model(error) => error,
            UploadError::Card(error) => device_error(ordinal, &error),
        })?;
        let parts = (device, streams, kernels, weights);
        Self::assemble(config, sizes, layout, plan.slots, parts, ordinal).map_err(failed)
    }

    fn assemble(
        config: ModelConfig,
        sizes: Sizes,
        layout: KvLayout,
        slots: usize,
        (device, streams, kernels, weights): (Device, Streams, Kernels, CudaWeights),
        ordinal: usize,
    ) -> Result<Self, CudaError> {
        let mut region = Region::new(&device, sizes.working().total())?;
        let working = Working::new(&mut region, &sizes)?;
        let table = rope_table(&config.inverse_frequencies(), sizes.positions);
        region.buffer().write(&streams.card.compute, region.offset_of(working.table), bytes_of(&table))?;
        let limits = Limits {
            vocabulary: config.vocab_size,
            slots,
            rows: sizes.rows,
            positions: config.max_context.min(sizes.positions),
        };
        Ok(CudaBackend {
            shape: sizes.shape,
            layout,
            limits,
            ordinal,
            step: Arrangement::default(),
            recorded: false,
            graphs: GraphCache::new(config.layers),
            rows_copied: false,
            inputs: Inputs::new(&device, &sizes, working.inputs)?,
            sampler: Sampler::new(&device, working.sampling, sizes.logit_rows())?,
            logits: Logits::new(sizes.logit_rows()),
            blas: Blas::new(&device)?,
            slots: Region::new(&device, slots * layout.block_bytes())?,
            _working_region: region,
            pinned: PinnedMemory::default(),
            config,
            sizes,
            streams,
            working,
            weights,
            kernels,
            device,
        })
    }

    /// The layout that the slots of a backend for `config` have.
    pub fn layout_for(config: &ModelConfig) -> KvLayout {
        layout_of(config)
    }

    fn failed(&self, error: CudaError) -> ModelError {
        device_error(self.ordinal, &error)
    }

    /// One layer of all slots.
    fn layer_of_slots(&self, layer: usize) -> Result<DevicePointer, CudaError> {
        let bytes = self.limits.slots * self.layout.slice_bytes();
        self.slots.buffer().part(layer * bytes, bytes)
    }

    fn enqueue_embedding(&mut self) -> Result<(), CudaError> {
        let stream = &self.streams.card.compute;
        self.inputs.send(stream, &self.step)?;
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
            working: &self.working,
            inputs: &self.inputs.pointers,
            slots,
            is_first: layer == 0,
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
            working: &self.working,
            logit_rows: self.inputs.pointers.logit_rows,
            count,
        };
        self.logits.make_present(pass, row).map_err(|error| device_error(self.ordinal, &error))
    }

    /// A row of logits that is present.
    fn download_row(&self, place: usize, out: &mut [f32]) -> Result<(), CudaError> {
        let mut bytes = vec![0; out.len() * 4];
        let offset = self._working_region.offset_of(self.working.logits) + place * bytes.len();
        self._working_region.buffer().read(&self.streams.card.compute, offset, &mut bytes)?;
        let values = bytes.as_chunks::<4>().0;
        out.iter_mut().zip(values).for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes));
        Ok(())
    }

    /// Samples requests whose rows are present.
    fn sample_present(&mut self, requests: &[&SampleRequest<'_>]) -> Result<Vec<Sampled>, ModelError> {
        let placed: Vec<_> =
            requests.iter().filter_map(|request| Some((*request, self.logits.place(request.row)?))).collect();
        let vocabulary = self.config.vocab_size;
        let plan = SamplePlan::new(&placed, vocabulary);
        let rows = LogitRows { logits: self.working.logits, rows: self.logits.rows(), vocabulary };
        let stream = &self.streams.card.compute;
        let answers = self.sampler.run(&self.kernels, stream, rows, &plan);
        let answers = answers.map_err(|error| self.failed(error))?;
        let on_host =
            |((request, place), answer): (&(&SampleRequest<'_>, usize), Option<Sampled>)| match answer {
                Some(sampled) => Ok(sampled),
                None => {
                    let mut logits = vec![0.0; vocabulary];
                    self.download_row(*place, &mut logits).map_err(|error| self.failed(error))?;
                    Ok(sample(&logits, request))
                }
            };
        placed.iter().zip(answers).map(on_host).collect()
    }

    /// The copies with the card's addresses, checked.
    fn card_copies(&self, stream: Stream, copies: &[SliceCopy]) -> Result<Vec<MemoryCopy>, ModelError> {
        let invalid = |detail: String| ModelError::Invalid { what: "slice copy", detail };
        if stream == Stream::Compute {
            return Err(invalid("the compute stream copies nothing".into()));
        }
        let (layers, slots, bytes) = (self.layout.layers, self.limits.slots, self.layout.slice_bytes());
        let base = self.slots.buffer().pointer().address();
        let mut checked = Vec::with_capacity(copies.len());
        for &SliceCopy { layer, slot, host } in copies {
            if layer as usize >= layers || slot as usize >= slots {
                return Err(invalid(format!("layer {layer} of {layers}, slot {slot} of {slots}")));
            }
            if host.is_null() {
                return Err(invalid("no host address".into()));
            }
            let card = base + ((layer as usize * slots + slot as usize) * bytes) as u64;
            let host = host.addr() as u64;
            let (from, to) = if stream == Stream::Load { (host, card) } else { (card, host) };
            checked.push(MemoryCopy { from, to, bytes });
        }
        Ok(checked)
    }

    /// A load may fill a slot whose rows are still to be copied elsewhere: the copy was reported when it was
    /// enqueued.
    fn order_after_row_copies(&mut self) {
        if std::mem::take(&mut self.rows_copied) {
            let copied = self.streams.record(Stream::Compute);
            self.streams.wait(Stream::Load, copied);
        }
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

    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<Sampled>, ModelError> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&request| requests[request].row);
        let mut sampled: Vec<Option<Sampled>> = vec![None; requests.len()];
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

    fn pin(&mut self, memory: Arc<HostArena>) -> Result<(), ModelError> {
        let refused = |error: KvError| ModelError::Device {
            device: format!("cuda:{}", self.ordinal),
            detail: error.to_string(),
        };
        memory.make_present().map_err(refused)?;
        let device = self.device.clone();
        self.pinned.add(&device, memory).map_err(|error| self.failed(error))
    }

    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        let checked = self.card_copies(stream, copies)?;
        if stream == Stream::Load {
            self.order_after_row_copies();
        }
        let bytes = self.layout.slice_bytes();
        let pinned = copies.iter().all(|copy| self.pinned.holds(copy.host, bytes));
        let stream = self.streams.of(stream);
        // SAFETY: the card's side was checked; the engine keeps the host's side mapped, and both sides unshared,
        // until the copies are done. Batches are for pinned memory.
        let copied =
            unsafe { if pinned { copy_batch(stream, &checked) } else { copy_each(stream, &checked) } };
        copied.map_err(|error| self.failed(error))
    }

    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        let (slots, most) = (self.limits.slots, BLOCK_TOKENS as u32);
        if from_slot.max(to_slot) as usize >= slots || valid > most {
            let detail = format!("{valid} rows of {most} from slot {from_slot} to {to_slot} of {slots}");
            return Err(ModelError::Invalid { what: "copy of rows", detail });
        }
        if from_slot == to_slot || valid == 0 {
            return Ok(());
        }
        self.rows_copied = true;
        let launch = CopyRows {
            shape: self.shape,
            layers: self.layout.layers,
            slots,
            memory: self.slots.buffer().pointer(),
            from_slot,
            to_slot,
            valid,
        };
        self.kernels.copy_rows(&self.streams.card.compute, &launch).map_err(|error| self.failed(error))
    }
}

impl Drop for CudaBackend {
    fn drop(&mut self) {
        // Nothing may be freed that the card still reads or writes.
        self.streams.drain();
    }
}
