//! A model without files: the shape of a known model or of a `config.json`, with seeded random weights. What it says
//! means nothing; what it costs is what the real one costs, and the same seed gives the same bits everywhere.

mod shape;
mod tokenizer;
mod weights;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::loader::{GenerationDefaults, LoadedModel, Progress, WeightsOrigin};

pub use shape::shape_names;

/// Raised whenever the same shape and seed would give other weights.
const GENERATOR_VERSION: u32 = 1;

/// Which random model is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomSpec {
    /// One of [`shape_names`], or the path of a directory with a `config.json` (anything with a `/`).
    pub shape: String,
    pub seed: u64,
}

/// A random model whose shape is known and whose weights are not made yet: what it will take can be asked before.
#[derive(Clone, Debug)]
pub struct RandomModel {
    config: ModelConfig,
    seed: u64,
}

impl RandomModel {
    /// Reads the shape.
    ///
    /// # Errors
    /// A name that is not known, a `config.json` that is missing or asks for what is not computed, a vocabulary too
    /// small for the byte-level tokenizer.
    pub fn read(spec: &RandomSpec) -> Result<Self, ModelError> {
        let config = shape::read(&spec.shape)?;
        tokenizer::check_fits(&config)?;
        Ok(Self { config, seed: spec.seed })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Bytes of all weights, in bf16.
    pub fn weight_bytes(&self) -> u64 {
        weights::bytes(&self.config)
    }

    /// Makes the weights, on all processors.
    pub fn generate(self, progress: &dyn Fn(Progress)) -> LoadedModel {
        let RandomModel { config, seed } = self;
        let weights = weights::generate(&config, seed, &|placed, total| {
            progress(Progress::Layers { placed, total });
        });
        LoadedModel {
            identity_config: config.identity(),
            quantisation: weights.quantisation(),
            weights,
            weights_origin: WeightsOrigin::Generated(format!(
                "random weights {GENERATOR_VERSION}, seed {seed}"
            )),
            text: tokenizer::text_source(&config),
            generation: GenerationDefaults { eos_ids: vec![tokenizer::END], ..GenerationDefaults::default() },
            config,
        }
    }
}
