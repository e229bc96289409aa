//! The row-wise kernels of a layer: embedding, norm with residual, SiLU·mul.

use super::Kernels;
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Stream};

/// Elements of a 16-byte access.
const VECTOR: usize = 8;
/// The norms' threads, and of each instance the widest row: `norm.cuh`.
const NORM_THREADS: u32 = 512;
const NORM_WIDTHS: [usize; 3] = [4096, 8192, 16_384];
pub(super) const NORM_INSTANCES: [&str; 3] = ["2", "4", "8"];

/// `residual[row] = table[tokens[row]]`.
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    pub rows: usize,
    /// A multiple of 8.
    pub hidden: usize,
    /// u32 `[rows]`.
    pub tokens: DevicePointer,
    /// bf16 `[vocabulary][hidden]`.
    pub table: DevicePointer,
    /// f32 `[rows][hidden]`.
    pub residual: DevicePointer,
}

/// `residual[row] += delta[row]`, then `out[row] = residual[row] / rms · weight`.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    pub rows: usize,
    /// A multiple of 8.
    pub hidden: usize,
    /// f32 `[rows][hidden]`.
    pub residual: DevicePointer,
    /// bf16 `[rows][hidden]`: what the layer before adds, or nothing.
    pub delta: Option<DevicePointer>,
    /// f32 `[hidden]`.
    pub weight: DevicePointer,
    /// bf16 `[rows][hidden]`.
    pub out: DevicePointer,
    pub epsilon: f32,
}

/// `to[i] = from[rows[i]]`.
#[derive(Clone, Copy, Debug)]
pub struct GatherRows {
    /// Of `rows` and of `to`.
    pub count: usize,
    /// Bytes of a row, a multiple of 16.
    pub row_bytes: usize,
    pub from: DevicePointer,
    /// u32 `[count]`.
    pub rows: DevicePointer,
    pub to: DevicePointer,
}

/// `out[i] = x / rms · weight` of `x = residual[rows[i]] + delta[rows[i]]`.
#[derive(Clone, Copy, Debug)]
pub struct FinalNorm {
    /// Of `rows` and of `out`.
    pub count: usize,
    /// A multiple of 8.
    pub hidden: usize,
    /// f32 `[…][hidden]`.
    pub residual: DevicePointer,
    /// bf16 `[…][hidden]`.
    pub delta: DevicePointer,
    /// u32 `[count]`: which rows; the first `count` where none are named.
    pub rows: Option<DevicePointer>,
    /// f32 `[hidden]`.
    pub weight: DevicePointer,
    /// bf16 `[count][hidden]`.
    pub out: DevicePointer,
    pub epsilon: f32,
}

/// `out[row] = silu(gate) · up` from rows `[gate | up]`.
#[derive(Clone, Copy, Debug)]
pub struct SiluMul {
    pub rows: usize,
    /// Of `out`, a multiple of 8.
    pub width: usize,
    /// bf16 `[rows][2·width]`.
    pub gate_up: DevicePointer,
    /// bf16 `[rows][width]`.
    pub out: DevicePointer,
}

fn vectors(what: &'static str, width: usize) -> Result<(), CudaError> {
    if width == 0 || !width.is_multiple_of(VECTOR) {
        return Err(CudaError::invalid(what, format!("{width} is no multiple of {VECTOR}")));
    }
    Ok(())
}

/// Which instance of the norms is for rows of `hidden`.
fn norm_instance(hidden: usize) -> Result<usize, CudaError> {
    vectors("hidden size", hidden)?;
    NORM_WIDTHS.iter().position(|&widest| hidden <= widest).ok_or_else(|| {
        CudaError::invalid("hidden size", format!("{hidden}; the kernels have up to {}", NORM_WIDTHS[2]))
    })
}

impl Kernels {
    /// # Errors
    /// A width that is no multiple of 8, a buffer that is too small, or a driver that refuses.
    pub fn embedding(&self, stream: &Stream, launch: &Embedding) -> Result<(), CudaError> {
        let Embedding { rows, hidden, .. } = *launch;
        vectors("hidden size", hidden)?;
        let arguments = Arguments::new()
            .address(launch.tokens.holds("tokens", rows * 4)?)
            .address(launch.table.holds("embedding table", hidden * 2)?)
            .address(launch.residual.holds("residual", rows * hidden * 4)?)
            .u32(hidden as u32);
        // SAFETY: the arguments are those of embedding.cu, and the sizes are checked above.
        unsafe { self.embedding.launch(stream, Grid { ctas: (rows, 1, 1), threads: 256 }, &arguments) }
    }

    /// # Errors
    /// A width that is no multiple of 8, a buffer that is too small, or a driver that refuses.
    pub fn rmsnorm(&self, stream: &Stream, launch: &Norm) -> Result<(), CudaError> {
        let Norm { rows, hidden, .. } = *launch;
        let instance = &self.rmsnorm[norm_instance(hidden)?];
        let delta = launch.delta.map_or(Ok(0), |delta| delta.holds("delta", rows * hidden * 2))?;
        let arguments = Arguments::new()
            .address(launch.residual.holds("residual", rows * hidden * 4)?)
            .address(delta)
            .address(launch.weight.holds("norm weight", hidden * 4)?)
            .address(launch.out.holds("norm's output", rows * hidden * 2)?)
            .u32(hidden as u32)
            .f32(launch.epsilon);
        // SAFETY: the arguments are those of rmsnorm.cu, and the sizes are checked above.
        unsafe { instance.launch(stream, Grid { ctas: (rows, 1, 1), threads: NORM_THREADS }, &arguments) }
    }

    /// # Errors
    /// A width that is no multiple of 8, a buffer that is too small, or a driver that refuses.
    pub fn final_norm(&self, stream: &Stream, launch: &FinalNorm) -> Result<(), CudaError> {
        let FinalNorm { count, hidden, .. } = *launch;
        let instance = &self.final_norm[norm_instance(hidden)?];
        let rows = launch.rows.map_or(Ok(0), |rows| rows.holds("rows of logits", count * 4))?;
        let arguments = Arguments::new()
            .address(launch.residual.holds("residual", hidden * 4)?)
            .address(launch.delta.holds("delta", hidden * 2)?)
            .address(rows)
            .address(launch.weight.holds("norm weight", hidden * 4)?)
            .address(launch.out.holds("norm's output", count * hidden * 2)?)
            .u32(hidden as u32)
            .f32(launch.epsilon);
        // SAFETY: the arguments are those of final_norm.cu, and the sizes are checked above.
        unsafe { instance.launch(stream, Grid { ctas: (count, 1, 1), threads: NORM_THREADS }, &arguments) }
    }

    /// # Errors
    /// A row that is no multiple of 16 bytes, a buffer that is too small, or a driver that refuses.
    pub fn gather_rows(&self, stream: &Stream, launch: &GatherRows) -> Result<(), CudaError> {
        let GatherRows { count, row_bytes, .. } = *launch;
        vectors("row to gather", row_bytes / 2)?;
        let arguments = Arguments::new()
            .address(launch.from.holds("rows to gather from", row_bytes)?)
            .address(launch.rows.holds("rows to gather", count * 4)?)
            .address(launch.to.holds("gathered rows", count * row_bytes)?)
            .u32((row_bytes / 16) as u32);
        // SAFETY: the arguments are those of gather_rows.cu, and the sizes are checked above.
        unsafe { self.gather_rows.launch(stream, Grid { ctas: (count, 1, 1), threads: 256 }, &arguments) }
    }

    /// # Errors
    /// A width that is no multiple of 8, a buffer that is too small, or a driver that refuses.
    pub fn silu_mul(&self, stream: &Stream, launch: &SiluMul) -> Result<(), CudaError> {
        let SiluMul { rows, width, .. } = *launch;
        vectors("width of gate and up", width)?;
        let arguments = Arguments::new()
            .address(launch.gate_up.holds("gate and up", rows * width * 4)?)
            .address(launch.out.holds("silu's output", rows * width * 2)?)
            .u32(width as u32);
        let grid = Grid { ctas: (rows, (width / VECTOR).div_ceil(256), 1), threads: 256 };
        // SAFETY: the arguments are those of silu_mul.cu, and the sizes are checked above.
        unsafe { self.silu_mul.launch(stream, grid, &arguments) }
    }
}
