//! Whether there is room for a model that does not exist yet.

use attentionstore_kv::memory_left::MemoryProbe;
use attentionstore_model::loader::random::RandomModel;

use crate::error::EngineError;
use crate::options::EngineOptions;

/// Random weights are made as they would be stored, and a backend packs them into its own form beside that.
const COPIES: u64 = 2;

/// Bytes that a server with these tiers takes with a random model, at most.
pub fn random_model_bytes(model: &RandomModel) -> u64 {
    COPIES.saturating_mul(model.weight_bytes())
}

/// Refuses random weights for which this machine has no memory. Nothing is allocated before.
///
/// # Errors
/// [`EngineError::Option`], with what is needed and what there is.
pub fn check_room(options: &EngineOptions, model: &RandomModel) -> Result<(), EngineError> {
    match available_memory() {
        Some(available) => fits(options, model, available),
        // Where nobody says, the allocator will.
        None => Ok(()),
    }
}

fn fits(options: &EngineOptions, model: &RandomModel, available: u64) -> Result<(), EngineError> {
    let weights = random_model_bytes(model);
    // A card brings its own memory for the hbm tier.
    let hbm = if options.device == "cpu" { options.hbm_bytes } else { 0 };
    let tiers = hbm.saturating_add(options.dram_bytes);
    let needed = weights.saturating_add(tiers);
    if needed <= available {
        return Ok(());
    }
    let detail = format!(
        "{} has {} of weights in bf16, {} while they are packed; with {} of hbm and dram tiers that is {}, and {} of \
         memory are available",
        model.config().name,
        gibibytes(model.weight_bytes()),
        gibibytes(weights),
        gibibytes(tiers),
        gibibytes(needed),
        gibibytes(available)
    );
    Err(EngineError::Option { option: "--random-weights", detail })
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1u32 << 30))
}

/// Bytes of memory that a process can still get: what the machine has, and what its control groups allow.
pub fn available_memory() -> Option<u64> {
    MemoryProbe::default().read().map(|memory| memory.left)
}

#[cfg(test)]
mod tests {
    use attentionstore_model::ModelSource;
    use attentionstore_model::loader::random::RandomSpec;

    use super::*;

    fn options(shape: &str) -> (EngineOptions, RandomModel) {
        let spec = RandomSpec { shape: shape.to_owned(), seed: 0 };
        let model = RandomModel::read(&spec).expect("a known shape");
        let options = EngineOptions {
            model: ModelSource::Random(spec),
            device: "cpu".into(),
            kernel_cache: std::path::PathBuf::new(),
            threads: 1,
            max_batch_tokens: 64,
            hbm_bytes: 1 << 30,
            dram_bytes: 1 << 30,
            ssd_bytes: 0,
            ssd_dir: None,
            data_dir: None,
            ssd_read_limit: None,
            ssd_write_limit: None,
            preload_layers: None,
            load_checks: None,
            kv_dtype: "bf16".into(),
            instruction_set: None,
        };
        (options, model)
    }

    #[test]
    fn a_shape_that_fits_exactly_is_taken_and_one_byte_less_is_refused_with_numbers() {
        let (options, model) = options("smollm2-135m");
        let needed = 2 * model.weight_bytes() + (2 << 30);
        fits(&options, &model, needed).expect("it fits");
        let error = fits(&options, &model, needed - 1).expect_err("it does not");
        assert_eq!(error.code(), "invalid_option");
        let text = error.to_string();
        for part in
            ["--random-weights", "random-smollm2-135m", "0.25 GiB", "0.50 GiB", "2.00 GiB", "2.50 GiB"]
        {
            assert!(text.contains(part), "{text} | {part}");
        }
    }
}
