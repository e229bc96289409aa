//! Ceilings of the card, and our parts against them, in one run: event-timed, warm, medians.
//!
//! `cargo bench -p attentionstore-cuda` on a machine with a card. `ONLY=word` runs the measurements whose name
//! holds the word.

use attentionstore_cuda::compile::{KernelCache, Nvrtc};
use attentionstore_cuda::launch::{
    AttentionShape, DecodeAttention, KeySplit, Partials, PrefillAttention, QueryTile, ReadRate, RotatedKeys,
    View, query_tiles, rope_table,
};
use attentionstore_cuda::runtime::{
    DeviceBuffer, DevicePointer, Event, HostRegistration, MemoryCopy, Stream, Streams, copy_batch, copy_each,
};
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

/// Slices in pinned host memory and in slots of the card, 1 GiB each.
struct Slices {
    // Before the memory it registers: fields drop in order.
    _registered: HostRegistration,
    host: Vec<u8>,
    memory: DeviceBuffer,
}

impl Bench {
    fn slices(&self) -> Outcome<Slices> {
        let mut host = vec![0x5a_u8; GIB];
        // SAFETY: the vector is never resized, and a field dropped after the registration.
        let registered = unsafe { HostRegistration::new(&self.device, host.as_mut_ptr(), GIB) }?;
        Ok(Slices { _registered: registered, host, memory: self.buffer(GIB)? })
    }

    fn copies(&self) -> Outcome<()> {
        if !self.wants("dma") {
            return Ok(());
        }
        let slices = self.slices()?;
        for slice in [48 << 10, 256 << 10, MIB, GIB] {
            for to_device in [true, false] {
                let copies = slices.copies(slice, to_device);
                let stream = if to_device { &self.streams.load } else { &self.streams.save };
                // SAFETY: the ranges live in `slices`, beyond the synchronisation in `time`.
                let batch = self.time(stream, || unsafe { copy_batch(stream, &copies) })?;
                // SAFETY: as above.
                let each = self.time(stream, || unsafe { copy_each(stream, &copies) })?;
                let rate = |milliseconds: f64| GIB as f64 / milliseconds / 1e6;
                let way = if to_device { "host → device" } else { "device → host" };
                let kib = slice >> 10;
                println!(
                    "dma {way}, slices of {kib} KiB: batch {:.1} GB/s, one call each {:.1}",
                    rate(batch),
                    rate(each)
                );
            }
        }
        Ok(())
    }
}

impl Slices {
    /// The whole GiB in slices, in opposite order on the card.
    fn copies(&self, slice: usize, to_device: bool) -> Vec<MemoryCopy> {
        let (host, card) = (self.host.as_ptr() as u64, self.memory.pointer().address());
        (0..GIB / slice)
            .map(|at| {
                let (a, b) = (host + (at * slice) as u64, card + ((GIB / slice - 1 - at) * slice) as u64);
                let (from, to) = if to_device { (a, b) } else { (b, a) };
                MemoryCopy { from, to, bytes: slice }
            })
            .collect()
    }
}

/// One layer of slots, with `views` views of `length` positions one after another in it.
struct Layer {
    shape: AttentionShape,
    memory: DeviceBuffer,
    block_slots: DeviceBuffer,
    table: DeviceBuffer,
    views: usize,
    length: usize,
}

impl Bench {
    fn layer(&self, shape: AttentionShape, views: usize, length: usize) -> Outcome<Layer> {
        let blocks = views * length.div_ceil(BLOCK);
        // An odd stride visits every slot once, none next to the one before.
        let stride = (blocks / 3) | 1;
        let stride = if blocks.is_multiple_of(stride) { 1 } else { stride };
        let order: Vec<u32> = (0..blocks).map(|at| (at * stride % blocks) as u32).collect();
        let frequencies: Vec<f32> = (0..shape.head_dim() / 2)
            .map(|pair| 10_000f32.powf(-2.0 * pair as f32 / shape.head_dim() as f32))
            .collect();
        Ok(Layer {
            shape,
            memory: self.random(blocks * shape.slice_bytes())?,
            block_slots: self.upload(&order, u32::to_le_bytes)?,
            table: self.upload(&rope_table(&frequencies, length), f32::to_le_bytes)?,
            views,
            length,
        })
    }

    fn decode(&self, read: f64) -> Outcome<()> {
        let shape = AttentionShape::new(32, 8, 128)?;
        for (views, length) in [(64, 8192), (64, 1024), (16, 1024), (1, 1024), (1, 32_768)] {
            let name = format!("decode attention, {views} × {length}, 32/8 heads of 128");
            if !self.wants(&name) {
                continue;
            }
            let layer = self.layer(shape, views, length)?;
            let split = DecodeAttention::plan(&shape, views, length, self.device.multiprocessors());
            let milliseconds = self.time_decode(&layer, split)?;
            let bytes = views * length * shape.slice_bytes() / BLOCK;
            let rate = bytes as f64 / milliseconds / 1e6;
            println!(
                "{name}: {milliseconds:.4} ms, {rate:.0} GB/s, {:.2} of the read rate, {split:?}",
                rate / read
            );
        }
        Ok(())
    }

    fn time_decode(&self, layer: &Layer, split: KeySplit) -> Outcome<f64> {
        let (shape, rows) = (layer.shape, layer.views);
        let blocks = layer.length.div_ceil(BLOCK) as u32;
        let positions = self.upload(&vec![layer.length as u32 - 1; rows], u32::to_le_bytes)?;
        let starts: Vec<u32> = (0..rows as u32).map(|row| row * blocks).collect();
        let table_starts = self.upload(&starts, u32::to_le_bytes)?;
        let (q, out) = (self.random(shape.query_bytes(rows))?, self.buffer(shape.query_bytes(rows))?);
        let workspace = self.buffer(Partials::bytes(&shape, rows, split.splits))?;
        let launch = DecodeAttention {
            shape,
            rows,
            q: q.pointer(),
            out: out.pointer(),
            positions: positions.pointer(),
            table_starts: table_starts.pointer(),
            view: layer.view(),
            scale: 1.0 / (shape.head_dim() as f32).sqrt(),
            split,
            partials: Partials::new(&workspace, &shape, rows, split.splits)?,
        };
        self.time(&self.streams.compute, || self.kernels.decode_attention(&self.streams.compute, &launch))
    }
}

impl Layer {
    fn view(&self) -> View {
        View {
            layer: self.memory.pointer(),
            block_slots: self.block_slots.pointer(),
            table: self.table.pointer(),
            longest: self.length,
        }
    }
}

/// What a prefill launch needs beside the layer: the last `new` tokens of one view.
struct Prefill {
    q: DeviceBuffer,
    out: DeviceBuffer,
    tiles: DeviceBuffer,
    tile_count: usize,
    positions: DeviceBuffer,
    scratch: DeviceBuffer,
    workspace: DeviceBuffer,
    split: KeySplit,
    new: usize,
}

impl Bench {
    fn prefill(&self) -> Outcome<()> {
        for (heads, kv_heads, dim, length, new) in [
            (32, 8, 128, 2048, 2048),
            (32, 8, 128, 8192, 8192),
            (32, 8, 128, 32_768, 32_768),
            (32, 8, 128, 8192, 64),
            (32, 8, 128, 32_768, 64),
            (32, 8, 128, 32_768, 128),
            (32, 8, 128, 32_768, 512),
            (40, 40, 128, 8192, 8192),
            (9, 3, 64, 8192, 8192),
        ] {
            let name = format!("prefill attention, {new} new of {length}, {heads}/{kv_heads} heads of {dim}");
            if !self.wants(&name) {
                continue;
            }
            let layer = self.layer(AttentionShape::new(heads, kv_heads, dim)?, 1, length)?;
            let prefill = self.prepare(&layer, new)?;
            let stream = &self.streams.compute;
            let rotation = self.time(stream, || self.rotate(&layer, &prefill))?;
            let dense =
                self.time(stream, || self.attend(&layer, &prefill, Some(prefill.scratch.pointer())))?;
            let blocked = self.time(stream, || self.attend(&layer, &prefill, None))?;
            let pairs = (length * (length + 1) - (length - new) * (length - new + 1)) / 2;
            let teraflops = |milliseconds: f64| (4 * dim * heads * pairs) as f64 / milliseconds / 1e9;
            println!(
                "{name}: dense {dense:.4} ms, {:.0} TFLOP/s (keys rotated in {rotation:.4} ms); \
                 query rotated a block {blocked:.4} ms, {:.0} TFLOP/s; {} splits",
                teraflops(dense),
                teraflops(blocked),
                prefill.split.splits,
            );
        }
        Ok(())
    }

    fn prepare(&self, layer: &Layer, new: usize) -> Outcome<Prefill> {
        let shape = layer.shape;
        let first = (layer.length - new) as u32;
        let sequence = QueryTile { first_row: 0, tokens: new as u32, position: first, table_start: 0 };
        let tiles: Vec<QueryTile> = query_tiles(&shape, sequence).collect();
        let words: Vec<u32> = tiles
            .iter()
            .flat_map(|tile| [tile.first_row, tile.tokens, tile.position, tile.table_start])
            .collect();
        let split = PrefillAttention::plan(&shape, tiles.len(), layer.length, self.device.multiprocessors());
        let positions: Vec<u32> = (first..first + new as u32).collect();
        Ok(Prefill {
            q: self.random(shape.query_bytes(new))?,
            out: self.buffer(shape.query_bytes(new))?,
            tiles: self.upload(&words, u32::to_le_bytes)?,
            tile_count: tiles.len(),
            positions: self.upload(&positions, u32::to_le_bytes)?,
            scratch: self.buffer(layer.length * shape.kv_heads() * shape.head_dim() * 2)?,
            workspace: self.buffer(Partials::bytes(&shape, new, split.splits))?,
            split,
            new,
        })
    }

    fn rotate(&self, layer: &Layer, prefill: &Prefill) -> Result<(), CudaError> {
        let scratch = prefill.scratch.pointer();
        let keys = RotatedKeys { shape: layer.shape, view: layer.view(), scratch };
        self.kernels.rotate_keys(&self.streams.compute, &keys)
    }

    fn attend(&self, layer: &Layer, prefill: &Prefill, keys: Option<DevicePointer>) -> Result<(), CudaError> {
        let (shape, rows, split) = (layer.shape, prefill.new, prefill.split);
        let partials = Partials::new(&prefill.workspace, &shape, rows, split.splits)?;
        let launch = PrefillAttention {
            shape,
            tiles: prefill.tiles.pointer(),
            tile_count: prefill.tile_count,
            rows,
            q: prefill.q.pointer(),
            out: prefill.out.pointer(),
            view: layer.view(),
            rotated_keys: keys,
            scale: 1.0 / (shape.head_dim() as f32).sqrt(),
            split,
            partials: Some((prefill.positions.pointer(), partials)),
        };
        self.kernels.prefill_attention(&self.streams.compute, &launch)
    }

    /// Batch DMA both ways at once beside attention: what each costs the other.
    fn overlap(&self) -> Outcome<()> {
        if !self.wants("overlap") {
            return Ok(());
        }
        let layer = self.layer(AttentionShape::new(32, 8, 128)?, 1, 32_768)?;
        let prefill = self.prepare(&layer, 32_768)?;
        let (down, up) = (self.slices()?, self.slices()?);
        let compute = &self.streams.compute;
        let attend = || self.attend(&layer, &prefill, Some(prefill.scratch.pointer()));
        let alone = self.time(compute, attend)?;
        let (to_card, to_host) = (down.copies(256 << 10, true), up.copies(256 << 10, false));
        let (mut beside, mut loads) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let [start, load_end, attend_end] = [(); 3].map(|()| Event::timed(&self.device));
            let (start, load_end, attend_end) = (start?, load_end?, attend_end?);
            start.record(&self.streams.load)?;
            // SAFETY: the ranges live in `down` and `up`, beyond the synchronisations below.
            unsafe {
                copy_batch(&self.streams.load, &to_card)?;
                copy_batch(&self.streams.save, &to_host)?;
            }
            load_end.record(&self.streams.load)?;
            let attend_start = Event::timed(&self.device)?;
            attend_start.record(compute)?;
            attend()?;
            attend_end.record(compute)?;
            attend_end.synchronize()?;
            load_end.synchronize()?;
            self.streams.save.synchronize()?;
            beside.push(f64::from(attend_end.milliseconds_since(&attend_start)?));
            loads.push(f64::from(load_end.milliseconds_since(&start)?));
        }
        let (beside, load) = (median(beside), median(loads));
        let rate = GIB as f64 / load / 1e6;
        println!(
            "overlap: attention 32K {alone:.3} ms alone, {beside:.3} ms beside batch DMA both ways \
             (host → device {rate:.1} GB/s)"
        );
        Ok(())
    }
}
