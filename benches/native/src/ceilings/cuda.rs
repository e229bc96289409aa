//! A card: PCIe each way and both at once, its memory, its matrix product. Timed by events on its streams.

use std::cell::RefCell;

use attentionstore_cuda::blas::{Blas, Product, ProductOutput};
use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::ReadRate;
use attentionstore_cuda::runtime::{
    DeviceBuffer, Event, HostRegistration, MemoryCopy, Stream, Streams, bytes_of, copy_batch, copy_each,
};
use attentionstore_cuda::{CudaError, Device, Kernels};
use attentionstore_kv::HostArena;

use super::{HBM_READ, MATRIX_PRODUCT, PCIE_TO_DEVICE, PCIE_TO_HOST, kernel_cache};
use crate::Outcome;
use crate::report::{Recorder, Unit};
use crate::statistics::{Samples, repeat};

const WARM_UPS: usize = 3;
const ROUNDS: usize = 10;
const MIB: usize = 1 << 20;
/// Of the square matrices that are multiplied.
const SIDE: usize = 8192;
/// Bytes each way over PCIe.
const HOST_BYTES: usize = 1 << 30;
/// Of the card's own memory; far more than its cache holds.
const DEVICE_BYTES: usize = 4 << 30;
/// A block of a large model, in all layers.
const SLICE: usize = MIB;

/// # Errors
/// A card that is there and fails.
pub fn measure(recorder: &mut Recorder, ordinal: usize) -> Outcome<()> {
    if !recorder.wants_any(&["gpu"]) {
        return Ok(());
    }
    let device = match Device::open(ordinal) {
        Ok(device) => device,
        Err(reason) => {
            recorder.skip("gpu", reason.to_string());
            return Ok(());
        }
    };
    let card = Card { streams: device.streams()?, device };
    card.pcie(recorder)?;
    card.memory(recorder)?;
    card.hbm_read(recorder)?;
    card.product(recorder)
}

struct Card {
    device: Device,
    streams: Streams,
}

impl Card {
    /// GB/s of `bytes` in each of some rounds of `work`.
    fn rates(
        &self,
        stream: &Stream,
        bytes: usize,
        work: impl Fn() -> Result<(), CudaError>,
    ) -> Outcome<Samples> {
        let samples = repeat(WARM_UPS, ROUNDS, || -> Result<f64, CudaError> {
            let (start, end) = (Event::timed(&self.device)?, Event::timed(&self.device)?);
            start.record(stream)?;
            work()?;
            end.record(stream)?;
            end.synchronize()?;
            Ok(bytes as f64 / f64::from(end.milliseconds_since(&start)?) / 1e6)
        });
        Ok(samples?)
    }

    fn pcie(&self, recorder: &mut Recorder) -> Outcome<()> {
        let both_name = "gpu/pcie both ways at once";
        if ![PCIE_TO_DEVICE, PCIE_TO_HOST, both_name].iter().any(|name| recorder.wants(name)) {
            return Ok(());
        }
        let (down, up) = (Pinned::new(&self.device)?, Pinned::new(&self.device)?);
        let (load, save) = (&self.streams.load, &self.streams.save);
        // SAFETY: the ranges live in `down` and `up` beyond the synchronisation that ends each round.
        let to_device = || unsafe { copy_batch(load, &down.copies(true)) };
        // SAFETY: as above.
        let to_host = || unsafe { copy_batch(save, &up.copies(false)) };
        if recorder.wants(PCIE_TO_DEVICE) {
            let samples = self.rates(load, HOST_BYTES, to_device)?;
            recorder.ceiling(PCIE_TO_DEVICE, Unit::GigabytesASecond, samples);
        }
        if recorder.wants(PCIE_TO_HOST) {
            let samples = self.rates(save, HOST_BYTES, to_host)?;
            recorder.ceiling(PCIE_TO_HOST, Unit::GigabytesASecond, samples);
        }
        if recorder.wants(both_name) {
            let samples = self.rates(load, 2 * HOST_BYTES, || {
                to_device()?;
                to_host()?;
                let other = Event::new(&self.device)?;
                other.record(save)?;
                load.wait(&other)
            })?;
            recorder.ceiling(both_name, Unit::GigabytesASecond, samples);
        }
        Ok(())
    }

    fn memory(&self, recorder: &mut Recorder) -> Outcome<()> {
        let name = "gpu/hbm copy";
        if !recorder.wants(name) {
            return Ok(());
        }
        let (from, to) =
            (DeviceBuffer::new(&self.device, DEVICE_BYTES)?, DeviceBuffer::new(&self.device, DEVICE_BYTES)?);
        let copy =
            MemoryCopy { from: from.pointer().address(), to: to.pointer().address(), bytes: DEVICE_BYTES };
        let stream = &self.streams.compute;
        // SAFETY: both buffers live beyond the synchronisation that ends each round.
        let samples = self.rates(stream, DEVICE_BYTES, || unsafe { copy_each(stream, &[copy]) })?;
        recorder.ceiling(name, Unit::GigabytesASecond, samples);
        Ok(())
    }

    fn hbm_read(&self, recorder: &mut Recorder) -> Outcome<()> {
        if !recorder.wants(HBM_READ) {
            return Ok(());
        }
        let compiler = match Nvrtc::open(None) {
            Ok(compiler) => compiler,
            Err(reason) => {
                recorder.skip(HBM_READ, reason.to_string());
                return Ok(());
            }
        };
        let kernels = Kernels::load(&self.device, &compiler, &KernelCache::new(kernel_cache()))?;
        let memory = DeviceBuffer::new(&self.device, DEVICE_BYTES)?;
        let sink = DeviceBuffer::new(&self.device, 4)?;
        let launch = ReadRate { memory: memory.pointer(), sink: sink.pointer() };
        let stream = &self.streams.compute;
        let samples = self.rates(stream, DEVICE_BYTES, || kernels.read_rate(stream, &launch))?;
        recorder.ceiling(HBM_READ, Unit::GigabytesASecond, samples);
        Ok(())
    }

    fn product(&self, recorder: &mut Recorder) -> Outcome<()> {
        if !recorder.wants(MATRIX_PRODUCT) {
            return Ok(());
        }
        let blas = match Blas::new(&self.device) {
            Ok(blas) => RefCell::new(blas),
            Err(reason) => {
                recorder.skip(MATRIX_PRODUCT, reason.to_string());
                return Ok(());
            }
        };
        let stream = &self.streams.compute;
        let matrix = |seed| -> Result<DeviceBuffer, CudaError> {
            let buffer = DeviceBuffer::new(&self.device, 2 * SIDE * SIDE)?;
            buffer.write(stream, 0, bytes_of(&random_bf16(seed, SIDE * SIDE)))?;
            Ok(buffer)
        };
        let (x, weights, out) = (matrix(1)?, matrix(2)?, DeviceBuffer::new(&self.device, 2 * SIDE * SIDE)?);
        let product = Product {
            rows: SIDE,
            inputs: SIDE,
            outputs: SIDE,
            x: x.pointer(),
            weights: weights.pointer(),
            out: out.pointer(),
            kind: ProductOutput::Bf16,
        };
        // Operations in the place of bytes: both are counted in 10⁹ a second.
        let operations = 2 * SIDE * SIDE * SIDE;
        let samples = self.rates(stream, operations, || blas.borrow_mut().multiply(stream, &product))?;
        recorder.ceiling(MATRIX_PRODUCT, Unit::Gigaflops, samples);
        Ok(())
    }
}

/// Numbers of both signs between 2⁻² and 2 in bf16: on zeros a card is faster than it is.
fn random_bf16(seed: u64, count: usize) -> Vec<u16> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (state >> 40) as u16;
        // A sign, an exponent of 125 to 127, seven bits behind the point.
        bits & 0x8000 | (125 + (bits >> 8) % 3) << 7 | bits & 0x7f
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Pinned host memory and as much on the card.
struct Pinned {
    // Before the memory that it registers: fields drop in order.
    _registered: HostRegistration,
    host: HostArena,
    memory: DeviceBuffer,
}

impl Pinned {
    fn new(device: &Device) -> Outcome<Pinned> {
        let host = HostArena::new(HOST_BYTES)?;
        host.commit_all()?;
        // SAFETY: the arena never moves, and is dropped after the registration.
        let registered = unsafe { HostRegistration::new(device, host.base().as_ptr(), HOST_BYTES) }?;
        Ok(Pinned { _registered: registered, host, memory: DeviceBuffer::new(device, HOST_BYTES)? })
    }

    fn copies(&self, to_device: bool) -> Vec<MemoryCopy> {
        let (host, card) = (self.host.base().as_ptr() as u64, self.memory.pointer().address());
        (0..HOST_BYTES)
            .step_by(SLICE)
            .map(|at| {
                let (host, card) = (host + at as u64, card + at as u64);
                let (from, to) = if to_device { (host, card) } else { (card, host) };
                MemoryCopy { from, to, bytes: SLICE }
            })
            .collect()
    }
}
