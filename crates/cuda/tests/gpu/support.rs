//! The card of the tests, plain data to and from it, seeded numbers, and the measure of agreement.

use std::io::Write;
use std::sync::OnceLock;

use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::runtime::{DeviceBuffer, Stream, Streams};
use attentionstore_cuda::{CudaError, Device, Kernels};
use half::bf16;

pub const BLOCK: usize = 64;
pub const NONE: u32 = u32::MAX;
/// What outputs hold before a kernel runs: as bf16 and f32 a number that no reference comes near.
const POISON: u8 = 0xde;

pub struct Gpu {
    pub kernels: Kernels,
    pub streams: Streams,
}

/// A card with streams of the test's own, or the test's name on the terminal and nothing.
pub fn gpu(test: &str) -> Option<Gpu> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let _ = Nvrtc::open(None).map_err(|error| error.to_string())?;
        Device::open(0).map_err(|error| error.to_string())
    });
    match device {
        Ok(device) => Some(load(device).expect("the kernels load on the card")),
        Err(reason) => {
            let _ = std::io::stderr().write_all(format!("skipped {test}: {reason}\n").as_bytes());
            None
        }
    }
}

fn load(device: &Device) -> Result<Gpu, CudaError> {
    static COMPILING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // One test compiles, the others find its entries.
    let _one = COMPILING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = KernelCache::new(std::env::temp_dir().join("attentionstore-test-kernels"));
    let kernels = Kernels::load(device, &Nvrtc::open(None)?, &cache)?;
    Ok(Gpu { kernels, streams: device.streams()? })
}

impl Gpu {
    pub fn stream(&self) -> &Stream {
        &self.streams.compute
    }

    pub fn buffer(&self, bytes: usize) -> DeviceBuffer {
        DeviceBuffer::new(self.kernels.device(), bytes.max(1)).unwrap()
    }

    pub fn poisoned(&self, bytes: usize) -> DeviceBuffer {
        let buffer = self.buffer(bytes);
        buffer.fill(self.stream(), POISON).unwrap();
        buffer
    }

    pub fn upload<T: Plain>(&self, values: &[T]) -> DeviceBuffer {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bytes()).collect();
        let buffer = self.buffer(bytes.len());
        buffer.write(self.stream(), 0, &bytes).unwrap();
        buffer
    }

    pub fn download<T: Plain>(&self, buffer: &DeviceBuffer) -> Vec<T> {
        let mut bytes = vec![0; buffer.bytes()];
        buffer.read(self.stream(), 0, &mut bytes).unwrap();
        bytes.chunks_exact(size_of::<T>()).map(T::from_bytes).collect()
    }
}

/// Values that lie on the card as they do here.
pub trait Plain: Copy {
    fn to_bytes(self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! plain {
    ($($type:ty),+) => {
        $(impl Plain for $type {
            fn to_bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        })+
    };
}
plain!(u32, f32, bf16);

/// Seeded numbers (SplitMix64), the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// In [-1, 1).
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    pub fn bf16s(&mut self, count: usize) -> Vec<bf16> {
        (0..count).map(|_| bf16::from_f32(2.0 * self.float())).collect()
    }

    pub fn shuffled(&mut self, count: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count as u32).collect();
        (1..count).rev().for_each(|at| order.swap(at, self.below(at + 1)));
        order
    }
}

/// ‖out − reference‖ / ‖reference‖; infinite where anything is not a number.
pub fn distance(out: &[bf16], reference: &[f64]) -> f64 {
    assert_eq!(out.len(), reference.len());
    let difference: f64 = out.iter().zip(reference).map(|(a, b)| (a.to_f64() - b).powi(2)).sum();
    let size: f64 = reference.iter().map(|b| b * b).sum();
    let relative = (difference / size).sqrt();
    if relative.is_finite() { relative } else { f64::INFINITY }
}
