//! Prefill attention, dense and blocked.

use attentionstore_cuda::CudaError;
use attentionstore_cuda::launch::{
    AttentionShape, KeySplit, Partials, PrefillAttention, QueryTile, RotatedKeys, query_tiles,
};
use attentionstore_cuda::runtime::{DeviceBuffer, DevicePointer};

use crate::decode::Layer;
use crate::{Bench, Outcome};

/// What a prefill launch needs beside the layer: the last `new` tokens of one view.
pub(crate) struct Prefill {
    q: DeviceBuffer,
    out: DeviceBuffer,
    tiles: DeviceBuffer,
    tile_count: usize,
    positions: DeviceBuffer,
    pub(crate) scratch: DeviceBuffer,
    workspace: DeviceBuffer,
    split: KeySplit,
    new: usize,
}

impl Bench {
    pub(crate) fn prefill(&self) -> Outcome<()> {
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

    pub(crate) fn prepare(&self, layer: &Layer, new: usize) -> Outcome<Prefill> {
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

    pub(crate) fn attend(
        &self,
        layer: &Layer,
        prefill: &Prefill,
        keys: Option<DevicePointer>,
    ) -> Result<(), CudaError> {
        let (shape, rows, split) = (layer.shape, prefill.new, prefill.split);
        let partials = Partials::new(prefill.workspace.pointer(), &shape, rows, split.splits)?;
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
}
