//! Measures the CUDA backend: `cargo run --release --example cuda_speed -- SHAPE [DEVICE [PART…]]`, with parts `prefill`,
//! `decode`, `returning` and `saving`; all where none is named.
//!
//! SHAPE is a random model's (`mistral-7b`, `llama-13b`, `smollm2-135m`, …). Prints, in milliseconds and as medians
//! of some rounds after a warm-up: prefill of 512 to 32K tokens; a decode step at batch 1, 16 and 64 after 1K; a
//! returning turn of 64 tokens over 2K to 32K of history in host memory, layer by layer, beside the same history on
//! the card and the copy alone; and prefill and decode with everything saved beside nothing.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::{BLOCK_TOKENS, KvLayout};
use attentionstore_model::backend::cuda::{CudaBackend, CudaOptions};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted, SliceCopy, Stream};
use attentionstore_model::loader::random::{RandomModel, RandomSpec};
use attentionstore_model::sampling::{SampleRequest, SamplingParams, TokenCounts};

const CHUNK: usize = 2048;
const NEW: usize = 64;
const ROUNDS: usize = 5;

type Measured<T> = Result<T, Box<dyn Error>>;

fn main() -> Measured<()> {
    let mut arguments = std::env::args().skip(1);
    let shape = arguments.next().ok_or("usage: cuda_speed SHAPE [DEVICE [PART…]]")?;
    let ordinal = arguments.next().map_or(Ok(0), |number| number.parse())?;
    let parts: Vec<String> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|each| each == part);
    let started = Instant::now();
    let model = RandomModel::read(&RandomSpec { shape, seed: 1 })?.generate(&|_| {});
    println!("{}: made in {:.1} s", model.config.name, started.elapsed().as_secs_f64());
    let started = Instant::now();
    let options = CudaOptions {
        ordinal,
        max_batch_tokens: CHUNK,
        hbm_bytes: None,
        kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
    };
    let backend = CudaBackend::new(model.config.clone(), &model.weights, &options)?;
    drop(model);
    println!(
        "{}, {} slots, open in {:.1} s",
        backend.describe(),
        backend.slots(),
        started.elapsed().as_secs_f64()
    );
    let mut bench = Bench::new(backend)?;
    if wanted("prefill") {
        bench.prefills()?;
    }
    if wanted("decode") {
        bench.decodes()?;
    }
    if wanted("returning") {
        bench.returning_turns()?;
    }
    if wanted("saving") {
        bench.saving()?;
    }
    Ok(())
}

struct Bench {
    backend: CudaBackend,
    layout: KvLayout,
    arena: Arc<HostArena>,
    /// Blocks that both the card and the arena hold.
    blocks: usize,
    params: SamplingParams,
    counts: TokenCounts,
}

/// What a step saves: blocks of the first sequence, to host slots of the same numbers.
type Saved = std::ops::Range<usize>;

impl Bench {
    fn new(mut backend: CudaBackend) -> Measured<Bench> {
        let layout = backend.layout();
        let most = backend.config().max_context.min(32 << 10).div_ceil(BLOCK_TOKENS);
        let blocks = most.min(backend.slots());
        let started = Instant::now();
        let arena = Arc::new(HostArena::new(blocks * layout.host_slot_bytes())?);
        arena.commit_all()?;
        if let Some(pinned) = backend.pin(arena.clone()) {
            pinned.register(0..arena.len())?;
        }
        println!(
            "{:.1} GiB pinned in {:.2} s",
            arena.len() as f64 / f64::from(1 << 30),
            started.elapsed().as_secs_f64()
        );
        Ok(Bench {
            backend,
            layout,
            arena,
            blocks,
            params: SamplingParams::greedy(),
            counts: TokenCounts::default(),
        })
    }

    fn holds(&self, tokens: usize) -> bool {
        tokens <= self.blocks * BLOCK_TOKENS && tokens <= self.backend.config().max_context
    }

    fn slice(&self, layer: usize, block: usize) -> SliceCopy {
        let offset = block * self.layout.host_slot_bytes() + self.layout.slice_offset(layer);
        // SAFETY: the arena holds `blocks` blocks.
        let host = unsafe { self.arena.base().as_ptr().add(offset) };
        SliceCopy { layer: layer as u32, slot: block as u32, host }
    }

    /// One step over sequences of `new` tokens each after `position`, the n-th in slots from n·`stride` on; one
    /// token of each is sampled. `loaded`: blocks whose slices are loaded layer by layer before the layer runs.
    fn step(
        &mut self,
        count: usize,
        (position, new): (usize, usize),
        stride: usize,
        loaded: usize,
        saved: Saved,
    ) -> Measured<()> {
        let tokens: Vec<u32> = (0..new as u32).map(|token| 17 + token % 1000).collect();
        let blocks = (position + new).div_ceil(BLOCK_TOKENS);
        let tables: Vec<Vec<u32>> = (0..count)
            .map(|index| (0..blocks).map(|block| (index * stride + block) as u32).collect())
            .collect();
        let logits = LogitsWanted::Last;
        let batch: Vec<BatchSequence<'_>> = tables
            .iter()
            .map(|slots| BatchSequence { tokens: &tokens, position: position as u32, slots, logits })
            .collect();
        let mut events = Vec::new();
        for layer in (0..self.layout.layers).filter(|_| loaded > 0) {
            let copies: Vec<SliceCopy> = (0..loaded).map(|block| self.slice(layer, block)).collect();
            self.backend.copy(Stream::Load, &copies)?;
            events.push(self.backend.record(Stream::Load));
        }
        self.backend.begin_step(&batch)?;
        for layer in 0..self.layout.layers {
            if let Some(&event) = events.get(layer) {
                self.backend.wait(Stream::Compute, event);
            }
            self.backend.run_layer(layer)?;
            if !saved.is_empty() {
                let computed = self.backend.record(Stream::Compute);
                self.backend.wait(Stream::Save, computed);
                let copies: Vec<SliceCopy> = saved.clone().map(|block| self.slice(layer, block)).collect();
                self.backend.copy(Stream::Save, &copies)?;
            }
        }
        let requests: Vec<SampleRequest<'_>> = (0..count)
            .map(|row| SampleRequest {
                row,
                params: &self.params,
                counts: &self.counts,
                token_index: 0,
                banned: &[],
                mask: None,
            })
            .collect();
        self.backend.sample(&requests)?;
        Ok(())
    }

    /// A prompt in chunks; `save`: every block that a chunk fills.
    fn prefill(&mut self, tokens: usize, save: bool) -> Measured<()> {
        for start in (0..tokens).step_by(CHUNK) {
            let new = CHUNK.min(tokens - start);
            let filled = if save { start / BLOCK_TOKENS..(start + new) / BLOCK_TOKENS } else { 0..0 };
            self.step(1, (start, new), 0, 0, filled)?;
        }
        Ok(())
    }

    fn prefills(&mut self) -> Measured<()> {
        for tokens in [512, 2048, 8192, 32_000] {
            if self.holds(tokens) {
                let ms = median(|| self.prefill(tokens, false))?;
                println!("prefill {tokens}: {ms:.2} ms");
            }
        }
        Ok(())
    }

    fn decodes(&mut self) -> Measured<()> {
        let stride = 1024 / BLOCK_TOKENS + 1;
        for count in [1, 16, 64] {
            if count * stride <= self.backend.slots() {
                let ms =
                    median(|| (0..8).try_for_each(|_| self.step(count, (1024, 1), stride, 0, 0..0)))? / 8.0;
                println!("decode, batch {count} after 1024: {ms:.3} ms a step");
            }
        }
        Ok(())
    }

    fn returning_turns(&mut self) -> Measured<()> {
        for history in [2048, 8192, 32_000] {
            if !self.holds(history + NEW) {
                continue;
            }
            let blocks = history / BLOCK_TOKENS;
            let there = median(|| self.step(1, (history, NEW), 0, 0, 0..0))?;
            let loaded = median(|| self.step(1, (history, NEW), 0, blocks, 0..0))?;
            let copied = median(|| self.load_alone(blocks))?;
            let rate = (blocks * self.layout.block_bytes()) as f64 / copied / 1e6;
            println!(
                "returning turn, {NEW} over {history}: from host {loaded:.2} ms, from the card {there:.2} ms, the copy \
                 alone {copied:.2} ms ({rate:.1} GB/s)"
            );
        }
        Ok(())
    }

    fn load_alone(&mut self, blocks: usize) -> Measured<()> {
        for layer in 0..self.layout.layers {
            let copies: Vec<SliceCopy> = (0..blocks).map(|block| self.slice(layer, block)).collect();
            self.backend.copy(Stream::Load, &copies)?;
        }
        let end = self.backend.record(Stream::Load);
        self.backend.synchronize(end);
        Ok(())
    }

    fn saving(&mut self) -> Measured<()> {
        let tokens = if self.holds(8192) { 8192 } else { 2048 };
        let (without, with) =
            (median(|| self.prefill(tokens, false))?, median(|| self.prefill(tokens, true))?);
        println!(
            "saving, prefill {tokens}: {without:.2} ms without, {with:.2} ms with, {:.3}×",
            with / without
        );
        let stride = 1024 / BLOCK_TOKENS + 1;
        let mut decode = |saved: Saved| {
            median(|| (0..8).try_for_each(|_| self.step(16, (1023, 1), stride, 0, saved.clone())))
                .map(|ms| ms / 8.0)
        };
        // At a block's end each of sixteen sequences saves one: far more often than decoding fills blocks.
        let (without, with) = (decode(0..0)?, decode(0..16)?);
        println!(
            "saving, decode at batch 16, 16 blocks every step: {without:.3} ms without, {with:.3} ms with"
        );
        Ok(())
    }
}

/// Milliseconds, the median of some rounds after a warm-up.
fn median(mut round: impl FnMut() -> Measured<()>) -> Measured<f64> {
    round()?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        round()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}
