//! Opening a card: what is compiled, planned, uploaded and tried once before the first request.

use attentionstore_cuda::blas::Blas;
use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::{AttentionShape, rope_table};
use attentionstore_cuda::runtime::bytes_of;
use attentionstore_cuda::{CudaError, Device, Kernels};
use attentionstore_kv::{BLOCK_TOKENS, KvLayout};

use super::arrange::Arrangement;
use super::backend::CudaBackend;
use super::graphs::GraphCache;
use super::inputs::Inputs;
use super::logits::Logits;
use super::memory::{Region, Working};
use super::options::{CudaOptions, check_config, device_error};
use super::pinned::PinnedArenas;
use super::plan::{MemoryPlan, Sizes, layout_of, weight_bytes};
use super::sample::Sampler;
use super::streams::Streams;
use super::weights::{CudaWeights, UploadError};
use crate::backend::step::Limits;
use crate::backend::{Backend, BatchSequence, LogitsWanted};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::{SampleRequest, SamplingParams, TokenCounts};
use crate::weights::ModelWeights;

fn sizes_of(
    config: &ModelConfig,
    shape: AttentionShape,
    options: &CudaOptions,
    multiprocessors: usize,
) -> Sizes {
    Sizes {
        shape,
        hidden: config.hidden,
        intermediate: config.intermediate,
        vocabulary: config.vocab_size,
        rows: options.max_batch_tokens,
        positions: config.max_context.max(BLOCK_TOKENS),
        multiprocessors,
    }
}

fn plan_for(
    config: &ModelConfig,
    sizes: &Sizes,
    memory: (usize, usize),
    options: &CudaOptions,
) -> Result<MemoryPlan, ModelError> {
    let working = sizes.working().total();
    MemoryPlan::new(weight_bytes(config), working, &layout_of(config), memory, options.hbm_bytes)
}

impl CudaBackend {
    /// Whether the card is there and holds a model, before any weight of it is there.
    ///
    /// # Errors
    /// No driver or card; a model that the kernels cannot do or the card cannot hold, with the numbers.
    pub fn check(config: &ModelConfig, options: &CudaOptions) -> Result<(), ModelError> {
        let shape = check_config(config)?;
        let failed = |error: CudaError| device_error(options.ordinal, &error);
        let device = Device::open(options.ordinal).map_err(failed)?;
        let sizes = sizes_of(config, shape, options, device.multiprocessors());
        let memory = device.memory().map_err(failed)?;
        plan_for(config, &sizes, memory, options).map(|_| ())
    }

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
        let mut sizes = sizes_of(&config, shape, options, device.multiprocessors());
        let memory = device.memory().map_err(failed)?;
        let plan = plan_for(&config, &sizes, memory, options)?;
        sizes.positions = sizes.positions.min(plan.slots * BLOCK_TOKENS).max(BLOCK_TOKENS);
        let weights = CudaWeights::upload(&device, &streams.card.compute, &config, weights);
        let weights = weights.map_err(|error| match error {
            UploadError::Model(error) => error,
            UploadError::Card(error) => device_error(ordinal, &error),
        })?;
        let parts = (device, streams, kernels, weights);
        let mut backend =
            Self::assemble(config, sizes, layout, plan.slots, parts, ordinal).map_err(failed)?;
        backend.warm_up()?;
        Ok(backend)
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
            gathered: None,
            graphs: GraphCache::new(config.layers),
            rows_copied: false,
            inputs: Inputs::new(&device, &sizes, working.inputs)?,
            sampler: Sampler::new(&device, working.sampling, sizes.logit_rows(), sizes.vocabulary)?,
            logits: Logits::new(sizes.logit_rows()),
            blas: Blas::new(&device)?,
            slots: Region::new(&device, slots * layout.block_bytes())?,
            working_region: region,
            pinned: PinnedArenas::default(),
            config,
            sizes,
            streams,
            working,
            weights,
            kernels,
            device,
        })
    }

    /// Computes a step of each kind once: what is loaded and chosen at its first use would otherwise be the first
    /// request's time. What it leaves in slots is nobody's.
    fn warm_up(&mut self) -> Result<(), ModelError> {
        let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
        let most = self.limits.rows.min(self.limits.positions);
        // A decode step is enqueued once before it is recorded.
        for rows in [most, 1, 1] {
            let tokens = vec![0; rows];
            let slots: Vec<u32> = (0..rows.div_ceil(BLOCK_TOKENS) as u32).collect();
            let logits = LogitsWanted::Last;
            self.begin_step(&[BatchSequence { tokens: &tokens, position: 0, slots: &slots, logits }])?;
            (0..self.config.layers).try_for_each(|layer| self.run_layer(layer))?;
            self.sample(&[SampleRequest {
                row: 0,
                params: &params,
                counts: &counts,
                token_index: 0,
                banned: &[],
                mask: None,
            }])?;
        }
        Ok(())
    }
}
