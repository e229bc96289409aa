//! The engine against the machine's ceilings, on any device: parts, prefill, decode, returning turns, ablations.

mod compute;
mod driver;
mod returning;
mod shape;
mod tiers;

use attentionstore_engine::{EngineOptions, available_memory};
use attentionstore_kv::BLOCK_TOKENS;
use tempfile::TempDir;

use crate::Outcome;
use crate::arguments::{Arguments, DeviceChoice};
use crate::ceilings::{
    DISK_READ, DISK_WRITE, F32_PEAK, HBM_READ, MATRIX_PRODUCT, MEMORY_COPY, MEMORY_READ, PCIE_TO_DEVICE,
    PCIE_TO_HOST, kernel_cache,
};
use crate::report::{Limit, Recorder};
use driver::Driver;
use shape::Shape;

/// New tokens of a returning turn.
const NEW_TOKENS: usize = 64;
/// Blocks that movements alone are measured with, at least.
const MOVED_BLOCKS: u64 = 64;
/// Of the ssd tier's bound, for the books of the file system.
const SSD_BOOKS: u64 = 1 << 20;
/// Of the memory that is free, what the tiers of a measurement may take on a CPU.
const MEMORY_SHARE: f64 = 0.4;

/// The cases that are measured, and the number of rounds.
struct Cases {
    prefill: Vec<usize>,
    decode: Vec<usize>,
    context: usize,
    history: Vec<usize>,
    batch_tokens: usize,
    rounds: usize,
    decode_steps: usize,
}

impl Cases {
    fn new(arguments: &Arguments) -> Self {
        let on_card = arguments.device != DeviceChoice::Cpu;
        let or = |given: &[usize], card: &[usize], cpu: &[usize], quick: &[usize]| -> Vec<usize> {
            let default = if on_card {
                card
            } else if arguments.quick {
                quick
            } else {
                cpu
            };
            if given.is_empty() { default.to_vec() } else { given.to_vec() }
        };
        Self {
            prefill: or(&arguments.prefill, &[512, 2048, 8192, 32_768], &[512, 2048], &[256]),
            decode: or(&arguments.decode, &[1, 16, 64], &[1, 16, 64], &[1, 16]),
            context: arguments.context.unwrap_or(if on_card { 1024 } else { 256 }),
            history: or(&arguments.history, &[2048, 8192, 32_768], &[512, 2048], &[512]),
            batch_tokens: arguments.batch_tokens.unwrap_or(if on_card { 2048 } else { 256 }),
            rounds: match (arguments.quick, on_card) {
                (true, _) => 2,
                (false, true) => 7,
                (false, false) => 3,
            },
            decode_steps: if arguments.quick || !on_card { 16 } else { 64 },
        }
    }

    /// Blocks of the longest sequence.
    fn longest_blocks(&self) -> usize {
        let longest = self.prefill.iter().chain(&self.history).copied().max().unwrap_or(0);
        (longest + NEW_TOKENS).div_ceil(BLOCK_TOKENS)
    }

    /// Blocks that `batch` decoding sequences take.
    fn decode_blocks(&self, batch: usize) -> usize {
        batch * (self.context + 2 * BLOCK_TOKENS + self.decode_steps).div_ceil(BLOCK_TOKENS)
    }

    /// Blocks that all cases find room in.
    fn hbm_blocks(&self) -> usize {
        let decode = self.decode.iter().map(|&batch| self.decode_blocks(batch)).max().unwrap_or(0);
        // A history beside the one that it is loaded over, or the history that decoding sequences begin with.
        let decode = decode + self.context.div_ceil(BLOCK_TOKENS) + 1;
        (2 * self.longest_blocks()).max(decode).max(MOVED_BLOCKS as usize)
    }
}

/// The rates that figures are held against. None where they were not measured.
struct Limits {
    /// GFLOP/s and its name.
    arithmetic: Option<Limit>,
    /// GB/s of the memory that weights and blocks lie in.
    reads: Option<Limit>,
    loads: Option<Limit>,
    saves: Option<Limit>,
    disk_reads: Option<Limit>,
    disk_writes: Option<Limit>,
}

impl Limits {
    fn of(recorder: &Recorder, device: DeviceChoice) -> Self {
        let best = |prefix: &str, what: &str| {
            recorder.best(prefix).map(|value| Limit { what: what.to_owned(), value })
        };
        let (arithmetic, reads, loads, saves) = match device {
            // One thread copies beside the computation.
            DeviceChoice::Cpu => (F32_PEAK, MEMORY_READ, MEMORY_COPY, MEMORY_COPY),
            DeviceChoice::Cuda(_) => (MATRIX_PRODUCT, HBM_READ, PCIE_TO_DEVICE, PCIE_TO_HOST),
        };
        Self {
            arithmetic: recorder.limit(arithmetic, arithmetic),
            reads: recorder.limit(reads, reads),
            loads: recorder.limit(loads, loads),
            saves: recorder.limit(saves, saves),
            disk_reads: best(DISK_READ, "sustained disk read"),
            disk_writes: best(DISK_WRITE, "sustained disk write"),
        }
    }
}

/// Everything that one measurement of the engine shares.
struct Session<'a> {
    arguments: &'a Arguments,
    shape: Shape,
    cases: Cases,
    limits: Limits,
    /// Holds the slot file; removed with its content.
    folder: TempDir,
}

/// # Errors
/// A model that cannot be computed here, a directory that cannot be written, a device that fails.
pub fn measure(recorder: &mut Recorder, arguments: &Arguments) -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("attentionstore-bench-").tempdir_in(&arguments.directory);
    let session = Session {
        shape: Shape::of(arguments)?,
        cases: Cases::new(arguments),
        limits: Limits::of(recorder, arguments.device),
        folder: folder.map_err(|error| format!("--dir {}: {error}", arguments.directory.display()))?,
        arguments,
    };
    let mut driver = session.open(None)?;
    eprintln!(
        "engine: {} on {}, {} hbm blocks",
        driver.info.model_name, driver.info.device, driver.info.hbm_slots
    );
    compute::prefill(recorder, &session, &mut driver)?;
    compute::decode(recorder, &session, &mut driver)?;
    tiers::measure(recorder, &session, &mut driver)?;
    returning::measure(recorder, &session, &mut driver)?;
    drop(driver);
    returning::read_buffers(recorder, &session)
}

impl Session<'_> {
    /// Opens the engine; `preload_layers` as its option.
    fn open(&self, preload_layers: Option<usize>) -> Outcome<Driver> {
        let host_blocks = (2 * self.cases.longest_blocks() as u64).max(MOVED_BLOCKS);
        let ssd_bytes = host_blocks * self.shape.host_slot_bytes() + SSD_BOOKS;
        Driver::open(EngineOptions {
            model: self.shape.source.clone(),
            device: self.arguments.device.to_string(),
            kernel_cache: kernel_cache(),
            threads: self.arguments.threads,
            max_batch_tokens: self.cases.batch_tokens,
            hbm_bytes: self.hbm_bytes(),
            dram_bytes: host_blocks * self.shape.host_slot_bytes(),
            ssd_bytes,
            ssd_dir: Some(self.folder.path().join("ssd")),
            data_dir: None,
            ssd_read_limit: None,
            ssd_write_limit: None,
            preload_layers,
            load_checks: None,
            kv_dtype: "bf16".to_owned(),
            instruction_set: None,
        })
    }

    /// Bytes that the cases need, as far as they fit; a case that does not fit is skipped by name.
    fn hbm_bytes(&self) -> u64 {
        let needed = self.cases.hbm_blocks() as u64 * self.shape.block_bytes();
        if self.arguments.device != DeviceChoice::Cpu {
            return needed;
        }
        let room = available_memory().map_or(needed, |bytes| (bytes as f64 * MEMORY_SHARE) as u64);
        needed.min(room).max(self.shape.block_bytes())
    }
}
