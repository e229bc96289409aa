//! What the engines of these tests compute, and on which device.

use std::path::PathBuf;

use attentionstore_model::ModelSource;
use attentionstore_model::loader::random::RandomSpec;

/// A device and a model for it.
pub struct Subject {
    pub device: String,
    pub model: ModelSource,
    /// Of one block in hbm; on a host a page more.
    pub block_bytes: u64,
}

/// Names the device of these tests; by default the CPU's.
const DEVICE_VARIABLE: &str = "ATTENTIONSTORE_TEST_DEVICE";

const CPU: &str = "cpu";

/// Keys and values of 64 tokens in bf16: two layers of one head of 16, thirty layers of three heads of 64.
const FIXTURE_BLOCK: u64 = 2 * 2 * 2 * 64 * 16;
const SMOLLM2_BLOCK: u64 = 2 * 2 * 30 * 64 * 3 * 64;

fn device() -> String {
    std::env::var(DEVICE_VARIABLE).unwrap_or_else(|_| CPU.to_owned())
}

impl Subject {
    /// A model that is always there: the two-layer fixture. A GPU's kernels do not have its heads of 16; there the model
    /// is a random one.
    pub fn always_there() -> Self {
        let device = device();
        if device == CPU {
            let fixture =
                PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/models/llama/hf");
            return Self { device, model: ModelSource::Files(fixture), block_bytes: FIXTURE_BLOCK };
        }
        let random = RandomSpec { shape: "smollm2-135m".into(), seed: 1 };
        Self { device, model: ModelSource::Random(random), block_bytes: SMOLLM2_BLOCK }
    }

    pub fn default_model(path: PathBuf) -> Self {
        Self { device: device(), model: ModelSource::Files(path), block_bytes: SMOLLM2_BLOCK }
    }

    pub fn is_cpu(&self) -> bool {
        self.device == CPU
    }
}
