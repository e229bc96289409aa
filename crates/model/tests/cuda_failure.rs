//! A card whose work has failed: everyone who waits is told. In a process of its own, because a fault takes the
//! whole card's context with it.

#[path = "cpu_support/models.rs"]
#[allow(dead_code, reason = "only the models are used")]
mod models;

use std::io::Write;
use std::sync::mpsc;

use attentionstore_cuda::blas::Blas;
use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::ReadRate;
use attentionstore_cuda::runtime::DeviceBuffer;
use attentionstore_cuda::{CudaError, Device, Kernels};
use attentionstore_model::ModelError;
use attentionstore_model::backend::cuda::{CudaBackend, CudaOptions};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted, SliceCopy, Stream};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::weights::WeightDtype;

fn cache() -> std::path::PathBuf {
    std::env::temp_dir().join("attentionstore-test-kernels")
}

fn usable() -> Result<(Device, Kernels), CudaError> {
    let device = Device::open(0)?;
    Blas::new(&device)?;
    let kernels = Kernels::load(&device, &Nvrtc::open(None)?, &KernelCache::new(cache()))?;
    Ok((device, kernels))
}

/// Reads memory that was given back.
fn fault(device: &Device, kernels: &Kernels) {
    let streams = device.streams().unwrap();
    let gone = {
        let buffer = DeviceBuffer::new(device, 1 << 30).unwrap();
        buffer.pointer()
    };
    let sink = DeviceBuffer::new(device, 4).unwrap();
    kernels.read_rate(&streams.compute, &ReadRate { memory: gone, sink: sink.pointer() }).unwrap();
    assert!(streams.compute.synchronize().is_err(), "the fault must be seen");
}

#[test]
fn after_a_fault_completions_come_as_errors_and_nothing_can_be_enqueued() {
    let (device, kernels) = match usable() {
        Ok(card) => card,
        Err(reason) => {
            let line = format!("skipped after_a_fault_completions_come_as_errors: {reason}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            return;
        }
    };
    let config = ModelConfig { hidden: 128, head_dim: 64, rotary_dim: 64, ..models::config() };
    let weights = models::weights(&config, 1, &[WeightDtype::F32]);
    let block = CudaBackend::layout_for(&config).block_bytes() as u64;
    let options =
        CudaOptions { ordinal: 0, max_batch_tokens: 64, hbm_bytes: Some(4 * block), kernel_cache: cache() };
    let mut backend = CudaBackend::new(config, &weights, &options).unwrap();
    let before = backend.record(Stream::Load);
    fault(&device, &kernels);
    let (say, said) = mpsc::channel();
    for stream in [Stream::Load, Stream::Save, Stream::Compute] {
        let say = say.clone();
        backend.notify(stream, Box::new(move |outcome: Result<(), ModelError>| say.send(outcome).unwrap()));
        let told = said.recv().unwrap();
        assert!(matches!(told, Err(ModelError::Device { .. })), "{stream:?}: {told:?}");
    }
    let mut host = vec![0_u8; backend.layout().slice_bytes()];
    let copy = SliceCopy { layer: 0, slot: 0, host: host.as_mut_ptr() };
    assert!(backend.copy(Stream::Save, &[copy]).is_err());
    let batch = BatchSequence { tokens: &[1], position: 0, slots: &[0], logits: LogitsWanted::Last };
    assert!(backend.begin_step(&[batch]).is_err());
    assert!(backend.sample(&[]).is_err());
    backend.synchronize(before);
}
