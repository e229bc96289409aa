//! Layers of slots, and decode attention over them.

use attentionstore_cuda::launch::{AttentionShape, DecodeAttention, KeySplit, Partials, View, rope_table};
use attentionstore_cuda::runtime::DeviceBuffer;

use crate::{BLOCK, Bench, Outcome};

/// One layer of slots, with `views` views of `length` positions one after another in it.
pub(crate) struct Layer {
    pub(crate) shape: AttentionShape,
    memory: DeviceBuffer,
    block_slots: DeviceBuffer,
    table: DeviceBuffer,
    views: usize,
    pub(crate) length: usize,
}

impl Bench {
    pub(crate) fn layer(&self, shape: AttentionShape, views: usize, length: usize) -> Outcome<Layer> {
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

    pub(crate) fn decode(&self, read: f64) -> Outcome<()> {
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
            partials: Partials::new(workspace.pointer(), &shape, rows, split.splits)?,
        };
        self.time(&self.streams.compute, || self.kernels.decode_attention(&self.streams.compute, &launch))
    }
}

impl Layer {
    pub(crate) fn view(&self) -> View {
        View {
            layer: self.memory.pointer(),
            block_slots: self.block_slots.pointer(),
            table: self.table.pointer(),
            longest: self.length,
        }
    }
}
