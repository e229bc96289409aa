//! Measures the CPU backend: `cargo run --release --example cpu_speed -- MODEL [THREADS] [ISA]`.
//!
//! MODEL is a path, or `synthetic:LAYERS` for random weights in SmolLM2-135M's shape and formats (30 layers are
//! the whole model; with one, its weights stay in the cache). ISA is `portable`, `avx2` or `avx512`.
//! Prints tokens a second for prefill of 512 and 4,096 tokens and for decoding after 512 and 4,096, and what
//! share of the machine's own arithmetic and read bandwidth (both measured first) that is.

use std::hint::black_box;
use std::time::{Duration, Instant};

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions, Isa};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::load;
use attentionstore_model::sampling::{SampleRequest, SamplingParams, TokenCounts};
use attentionstore_model::weights::{ModelWeights, WeightDtype};

#[path = "../tests/cpu_support/models.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod models;

const CHUNK: usize = 256;
const SLOTS: usize = 72;
const ROUNDS: usize = 3;
const DECODED: usize = 32;
/// Small steps: rows of one sequence, and sequences of one row.
const FEW_ROWS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 32];
const BATCHES: [usize; 5] = [1, 2, 4, 6, 8];
const STEPS: usize = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("usage: cpu_speed MODEL [THREADS] [ISA]")?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let isa = arguments.next().map(|name| isa_named(&name).ok_or("an ISA that is not known")).transpose()?;
    let peak = measure(threads, fma_chains) / 1e9;
    let bandwidth = measure(threads, read_memory) / 1e9;
    println!("machine: {peak:.0} GFLOP/s f32 FMA, {bandwidth:.1} GB/s read, {threads} threads");

    let (config, weights) = match model.strip_prefix("synthetic:") {
        Some(layers) => synthetic(layers.parse()?),
        None => load(model.as_ref(), &|_| {}).map(|model| (model.config, model.weights))?,
    };
    let started = Instant::now();
    let options = CpuOptions { threads, max_batch_tokens: CHUNK, slots: SLOTS, kv_dtype: KvDtype::Bf16, isa };
    let mut backend = CpuBackend::new(config.clone(), &weights, options)?;
    println!("{}: packed in {:.2} s on {}", config.name, started.elapsed().as_secs_f64(), backend.describe());

    for tokens in [512, 4096] {
        let seconds = fastest(|| prefill(&mut backend, tokens, threads));
        let work = prefill_flops(&config, tokens) / seconds / 1e9;
        let (rate, share) = (tokens as f64 / seconds, 100.0 * work / peak);
        println!("prefill {tokens}: {rate:.0} tokens/s, {work:.0} GFLOP/s, {share:.0} % of peak");
        let seconds = fastest(|| decode(&mut backend, tokens, threads)) / DECODED as f64;
        let bytes = weight_bytes(&weights) + backend.layout().block_bytes() as f64 / 64.0 * tokens as f64;
        let (rate, read) = (1.0 / seconds, bytes / seconds / 1e9);
        let share = 100.0 * read / bandwidth;
        println!("decode after {tokens}: {rate:.0} tokens/s, {read:.1} GB/s, {share:.0} % of read bandwidth");
        let steps = FEW_ROWS.map(|rows| {
            let seconds = fastest(|| repeated(threads, || step(&mut backend, tokens - 64, rows, true)));
            format!("{rows}: {:.1}", 1e3 * seconds / STEPS as f64)
        });
        println!("rows of one sequence after {}: ms a step: {}", tokens - 64, steps.join(", "));
    }
    let steps = BATCHES.map(|batch| {
        let seconds = fastest(|| repeated(threads, || decode_together(&mut backend, 512, batch)));
        format!("{batch}: {:.1}", 1e3 * seconds / STEPS as f64)
    });
    println!("sequences that decode after 512: ms a step: {}", steps.join(", "));
    Ok(())
}

fn isa_named(name: &str) -> Option<Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().find(|isa| isa.name() == name)
}

/// Random weights in SmolLM2-135M's shape: Q8_0 embedding and head, Q4_1 matrices.
fn synthetic(layers: usize) -> (ModelConfig, ModelWeights) {
    let config = ModelConfig {
        name: format!("synthetic, {layers} layers"),
        vocab_size: 49_152,
        hidden: 576,
        intermediate: 1536,
        layers,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        rotary_dim: 64,
        max_context: 8192,
        ..models::config()
    };
    let formats: Vec<WeightDtype> =
        (0..1 + 7 * layers).map(|at| if at == 0 { WeightDtype::Q8_0 } else { WeightDtype::Q4_1 }).collect();
    let weights = models::weights(&config, 1, &formats);
    (config, weights)
}

/// The fastest of a few rounds, in seconds: the others were disturbed.
fn fastest(mut round: impl FnMut() -> Duration) -> f64 {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default().as_secs_f64()
}

/// A clock: with one thread its time on a processor, so that a busy machine disturbs little; else wall time.
struct Clock {
    started: Instant,
    on_processor: Option<Duration>,
}

impl Clock {
    fn start(threads: usize) -> Clock {
        Clock { started: Instant::now(), on_processor: if threads == 1 { processor_time() } else { None } }
    }

    fn elapsed(&self) -> Duration {
        match (self.on_processor, processor_time()) {
            (Some(started), Some(now)) => now - started,
            _ => self.started.elapsed(),
        }
    }
}

/// This thread's time on a processor so far, as Linux tells it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

fn prefill(backend: &mut CpuBackend, tokens: usize, threads: usize) -> Duration {
    let started = Clock::start(threads);
    for position in (0..tokens).step_by(CHUNK) {
        let last = position + CHUNK >= tokens;
        step(backend, position, CHUNK.min(tokens - position), last);
    }
    started.elapsed()
}

/// Decodes after `tokens` tokens, which are in the slots already.
fn decode(backend: &mut CpuBackend, tokens: usize, threads: usize) -> Duration {
    let started = Clock::start(threads);
    for position in tokens..tokens + DECODED {
        step(backend, position, 1, true);
    }
    started.elapsed()
}

/// Small steps, one after another.
fn repeated(threads: usize, mut step: impl FnMut()) -> Duration {
    let started = Clock::start(threads);
    for _ in 0..STEPS {
        step();
    }
    started.elapsed()
}

/// One step of `batch` sequences that decode after `tokens` tokens, each in slots of its own.
fn decode_together(backend: &mut CpuBackend, tokens: usize, batch: usize) {
    let each = SLOTS / BATCHES[BATCHES.len() - 1];
    let slots: Vec<u32> = (0..SLOTS as u32).collect();
    let sequences: Vec<_> = slots
        .chunks_exact(each)
        .take(batch)
        .map(|slots| BatchSequence {
            tokens: &[17],
            position: tokens as u32,
            slots,
            logits: LogitsWanted::Last,
        })
        .collect();
    run(backend, &sequences);
}

fn step(backend: &mut CpuBackend, position: usize, count: usize, sampled: bool) {
    let tokens: Vec<u32> = (position..position + count).map(|n| (n * 7919 % 40_000) as u32).collect();
    let slots: Vec<u32> = (0..SLOTS as u32).collect();
    let logits = if sampled { LogitsWanted::Last } else { LogitsWanted::None };
    run(backend, &[BatchSequence { tokens: &tokens, position: position as u32, slots: &slots, logits }]);
}

fn run(backend: &mut CpuBackend, sequences: &[BatchSequence<'_>]) {
    backend.begin_step(sequences).expect("a valid batch");
    for layer in 0..backend.config().layers {
        backend.run_layer(layer).expect("a layer");
    }
    let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
    let wanted = sequences.iter().filter(|sequence| matches!(sequence.logits, LogitsWanted::Last));
    let requests: Vec<_> = wanted
        .enumerate()
        .map(|(row, sequence)| SampleRequest {
            row,
            params: &params,
            counts: &counts,
            token_index: u64::from(sequence.position),
            banned: &[],
            mask: None,
        })
        .collect();
    if !requests.is_empty() {
        black_box(backend.sample(&requests).expect("a sample"));
    }
}

/// Multiplications and additions of a prefill: matrices of the layers, attention over what each token sees, and
/// one row of the head.
fn prefill_flops(config: &ModelConfig, tokens: usize) -> f64 {
    let attention = config.hidden * config.head_dim * (2 * config.heads + 2 * config.kv_heads);
    let weights = config.layers * (attention + 3 * config.hidden * config.intermediate);
    let seen = tokens as f64 * (tokens as f64 + 1.0) / 2.0;
    let scores = 4.0 * (config.layers * config.heads * config.head_dim) as f64 * seen;
    2.0 * weights as f64 * tokens as f64 + scores + 2.0 * (config.vocab_size * config.hidden) as f64
}

/// Bytes of weights that one token reads.
fn weight_bytes(weights: &ModelWeights) -> f64 {
    let all: usize = weights.tensors().map(|tensor| tensor.bytes().len()).sum();
    let unread = if weights.head.is_some() { weights.embedding.bytes().len() } else { 0 };
    (all - unread) as f64
}

/// The best of some rounds of `work` on all threads, in its units a second. `work` says what it did, and in
/// what time.
fn measure(threads: usize, work: fn(usize) -> (f64, Duration)) -> f64 {
    let rate = move || {
        let (done, time) = work(threads);
        done / time.as_secs_f64()
    };
    let round = || {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(rate)).collect();
            workers.into_iter().map(|worker| worker.join().expect("measured")).sum()
        })
    };
    (0..ROUNDS).map(|_| round()).fold(0.0, f64::max)
}

/// Independent chains of fused multiply-adds in registers, in floating-point operations.
fn fma_chains(threads: usize) -> (f64, Duration) {
    let clock = Clock::start(threads);
    let done = widest_chains();
    (done, clock.elapsed())
}

fn widest_chains() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if Isa::Avx512.is_available() {
        // SAFETY: just detected.
        return unsafe { fma_chains_avx512() };
    }
    #[cfg(target_arch = "x86_64")]
    if Isa::Avx2.is_available() {
        // SAFETY: just detected.
        return unsafe { fma_chains_avx2() };
    }
    chains()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn fma_chains_avx512() -> f64 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    const ROUNDS: usize = 25_000_000;
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut sums = [_mm512_set1_ps(1.0); 10];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums.map(|sum| _mm512_reduce_add_ps(sum)));
    (ROUNDS * 2 * 160) as f64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fma_chains_avx2() -> f64 {
    chains()
}

#[inline(always)]
fn chains() -> f64 {
    const ROUNDS: usize = 50_000_000;
    const WIDTH: usize = 8;
    let (a, b) = (black_box([0.999_f32; WIDTH]), black_box([0.001_f32; WIDTH]));
    let mut sums = [[1.0_f32; WIDTH]; 10];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            for lane in 0..WIDTH {
                sum[lane] = sum[lane].mul_add(a[lane], b[lane]);
            }
        }
    }
    black_box(sums);
    (ROUNDS * 2 * 10 * WIDTH) as f64
}

/// Reads memory far larger than any cache, in bytes.
fn read_memory(threads: usize) -> (f64, Duration) {
    const WORDS: usize = 32 << 20;
    const PASSES: usize = 8;
    let memory = vec![1u64; WORDS];
    let clock = Clock::start(threads);
    for _ in 0..PASSES {
        let lines = black_box(&memory).as_chunks::<8>().0;
        let mut sums = [0u64; 8];
        for line in lines {
            for (sum, word) in sums.iter_mut().zip(line) {
                *sum ^= word;
            }
        }
        black_box(sums);
    }
    ((PASSES * WORDS * 8) as f64, clock.elapsed())
}
