//! Which device computes: `cpu`, or a CUDA card by its number.

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::Backend;
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions, Isa};
use attentionstore_model::backend::cuda::{CudaBackend, CudaOptions};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::loader::LoadedModel;

use crate::error::EngineError;
use crate::options::EngineOptions;

/// `--device` as the engine is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Cpu,
    Cuda { ordinal: usize },
}

impl Device {
    /// # Errors
    /// Neither `cpu` nor `cuda` nor `cuda:` and a number.
    fn parse(name: &str) -> Result<Device, EngineError> {
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let found = match name.split_once(':') {
            None if name == "cpu" => Some(Device::Cpu),
            None if name == "cuda" => Some(Device::Cuda { ordinal: 0 }),
            Some(("cuda", ordinal)) => number(ordinal).map(|ordinal| Device::Cuda { ordinal }),
            _ => None,
        };
        found.ok_or_else(|| invalid("--device", format!("{name} is neither cpu nor cuda nor cuda:n")))
    }
}

/// Opens the device and puts the model on it.
///
/// # Errors
/// A device that is not there, or that cannot compute or hold the model.
pub fn open_backend(options: &EngineOptions, model: &LoadedModel) -> Result<Box<dyn Backend>, EngineError> {
    let kv_dtype = match options.kv_dtype.as_str() {
        "bf16" => KvDtype::Bf16,
        "f32" => KvDtype::F32,
        other => return Err(invalid("kv dtype", format!("{other} is neither bf16 nor f32"))),
    };
    match Device::parse(&options.device)? {
        Device::Cpu => open_cpu(options, model, kv_dtype),
        Device::Cuda { ordinal } => open_cuda(options, model, kv_dtype, ordinal),
    }
}

fn open_cpu(
    options: &EngineOptions,
    model: &LoadedModel,
    kv_dtype: KvDtype,
) -> Result<Box<dyn Backend>, EngineError> {
    let isa = options.instruction_set.as_deref().map(instruction_set).transpose()?;
    let block_bytes = CpuBackend::layout_for(&model.config, kv_dtype).block_bytes() as u64;
    let slots = options.hbm_bytes / block_bytes;
    if slots == 0 {
        let detail = format!("{} bytes hold no block of {block_bytes} bytes", options.hbm_bytes);
        return Err(invalid("--hbm-bytes", detail));
    }
    let cpu = CpuOptions {
        threads: options.threads,
        max_batch_tokens: options.max_batch_tokens,
        slots: slots as usize,
        kv_dtype,
        isa,
    };
    Ok(Box::new(CpuBackend::new(model.config.clone(), &model.weights, cpu)?))
}

fn open_cuda(
    options: &EngineOptions,
    model: &LoadedModel,
    kv_dtype: KvDtype,
    ordinal: usize,
) -> Result<Box<dyn Backend>, EngineError> {
    if kv_dtype != KvDtype::Bf16 {
        return Err(invalid("kv dtype", "a CUDA device stores keys and values in bf16 only".to_owned()));
    }
    let cuda = cuda_options(options, ordinal);
    Ok(Box::new(CudaBackend::new(model.config.clone(), &model.weights, &cuda)?))
}

/// Whether the device is there and can hold a model, where that is known before its weights are.
///
/// # Errors
/// As [`open_backend`].
pub fn check_device(options: &EngineOptions, config: &ModelConfig) -> Result<(), EngineError> {
    match Device::parse(&options.device)? {
        Device::Cpu => Ok(()),
        Device::Cuda { ordinal } => Ok(CudaBackend::check(config, &cuda_options(options, ordinal))?),
    }
}

fn cuda_options(options: &EngineOptions, ordinal: usize) -> CudaOptions {
    CudaOptions {
        ordinal,
        max_batch_tokens: options.max_batch_tokens,
        hbm_bytes: (options.hbm_bytes > 0).then_some(options.hbm_bytes),
        kernel_cache: options.kernel_cache.clone(),
    }
}

fn instruction_set(name: &str) -> Result<Isa, EngineError> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .find(|isa| isa.name() == name)
        .ok_or_else(|| invalid("instruction set", format!("{name} is none of avx512, avx2, portable")))
}

fn invalid(option: &'static str, detail: String) -> EngineError {
    EngineError::Option { option, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_the_cpu_or_a_card_by_its_number() {
        assert_eq!(Device::parse("cpu").unwrap(), Device::Cpu);
        assert_eq!(Device::parse("cuda").unwrap(), Device::Cuda { ordinal: 0 });
        assert_eq!(Device::parse("cuda:12").unwrap(), Device::Cuda { ordinal: 12 });
        for wrong in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:1:2",
            "cpu:0",
            "CUDA",
            "cuda:99999999999999999999",
        ] {
            let error = Device::parse(wrong).unwrap_err();
            assert_eq!(error.code(), "invalid_option", "{wrong}");
        }
    }
}
