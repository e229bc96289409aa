//! Ceilings of the card, and our parts against them, in one run: event-timed, warm, medians.
//!
//! `cargo bench -p attentionstore-cuda` on a machine with a card. `ONLY=word` runs the measurements whose name
//! holds the word.

mod copies;
mod decode;
mod overlap;
mod prefill;

use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::ReadRate;
use attentionstore_cuda::runtime::{DeviceBuffer, Event, MemoryCopy, Stream, Streams, copy_each};
use attentionstore_cuda::{CudaError, Device, Kernels};

const BLOCK: usize = 64;
const WARM_UPS: usize = 3;
const REPEATS: usize = 20;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Bench {
    device: Device,
    kernels: Kernels,
    streams: Streams,
    only: Option<String>,
}

fn main() -> Outcome<()> {
    let device = match Device::open(0) {
        Ok(device) => device,
        Err(reason) => {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
    let cache = KernelCache::new(std::env::temp_dir().join("attentionstore-bench-kernels"));
    let kernels = Kernels::load(&device, &Nvrtc::open(None)?, &cache)?;
    println!("{}, {} multiprocessors", device.info().name, device.multiprocessors());
    for each in kernels.resources() {
        println!("  {}: {} registers, {} B spilled", each.function, each.registers, each.spill_store_bytes);
    }
    let bench = Bench { streams: device.streams()?, device, kernels, only: std::env::var("ONLY").ok() };
    let read = bench.read_rate()?;
    bench.copies()?;
    bench.decode(read)?;
    bench.prefill()?;
    bench.overlap()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|word| name.contains(word.as_str()))
    }

    /// Median milliseconds of `work`, enqueued on `stream`.
    fn time(&self, stream: &Stream, work: impl Fn() -> Result<(), CudaError>) -> Outcome<f64> {
        let mut times = Vec::new();
        for run in 0..WARM_UPS + REPEATS {
            let (start, end) = (Event::timed(&self.device)?, Event::timed(&self.device)?);
            start.record(stream)?;
            work()?;
            end.record(stream)?;
            end.synchronize()?;
            if run >= WARM_UPS {
                times.push(f64::from(end.milliseconds_since(&start)?));
            }
        }
        Ok(median(times))
    }

    fn buffer(&self, bytes: usize) -> Outcome<DeviceBuffer> {
        Ok(DeviceBuffer::new(&self.device, bytes)?)
    }

    fn upload<const N: usize, T: Copy>(
        &self,
        values: &[T],
        bytes: impl Fn(T) -> [u8; N],
    ) -> Outcome<DeviceBuffer> {
        let bytes: Vec<u8> = values.iter().flat_map(|&value| bytes(value)).collect();
        let buffer = self.buffer(bytes.len())?;
        buffer.write(&self.streams.compute, 0, &bytes)?;
        Ok(buffer)
    }

    /// Memory full of random bf16 in [-1, 1): a random piece, repeated.
    fn random(&self, bytes: usize) -> Outcome<DeviceBuffer> {
        let buffer = self.buffer(bytes)?;
        let mut state = 1_u64;
        let piece: Vec<u8> = (0..bytes.min(32 * MIB) / 2)
            .flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
                ((value.to_bits() >> 16) as u16).to_le_bytes()
            })
            .collect();
        buffer.write(&self.streams.compute, 0, &piece)?;
        let start = buffer.pointer().address();
        let copies: Vec<_> = (piece.len()..bytes)
            .step_by(piece.len())
            .map(|at| MemoryCopy { from: start, to: start + at as u64, bytes: piece.len().min(bytes - at) })
            .collect();
        // SAFETY: all ranges lie in `buffer`, and the stream is synchronised before it can go.
        unsafe { copy_each(&self.streams.compute, &copies) }?;
        self.streams.compute.synchronize()?;
        Ok(buffer)
    }

    /// GB/s at which the card reads its memory.
    fn read_rate(&self) -> Outcome<f64> {
        let (memory, sink) = (self.random(4 * GIB)?, self.buffer(4)?);
        let launch = ReadRate { memory: memory.pointer(), sink: sink.pointer() };
        let stream = &self.streams.compute;
        let milliseconds = self.time(stream, || self.kernels.read_rate(stream, &launch))?;
        let rate = (4 * GIB) as f64 / milliseconds / 1e6;
        println!("hbm read, 4 GiB: {rate:.0} GB/s");
        Ok(rate)
    }
}
