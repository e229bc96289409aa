//! out[rows][outputs] = x[rows][inputs] · weights[outputs][inputs]ᵀ: bf16 in, sums in f32, bf16 or f32 out.
//!
//! Everything lies row by row here and column by column there, so the library is asked for the transposed
//! product: weights (transposed) times x.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use cudarc::cublaslt::sys;

use super::library::{Entry, check};
use crate::error::{BlasError, CudaError};
use crate::runtime::{Device, DeviceBuffer, DevicePointer, Stream};

/// What the library recommends for Hopper; enough for every other card.
pub const WORKSPACE_BYTES: usize = 32 << 20;
const BF16_BYTES: usize = 2;
/// `CUBLAS_OP_T` of cublas_api.h.
const TRANSPOSED: i32 = 1;

/// What a product's results are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProductOutput {
    Bf16,
    F32,
}

impl ProductOutput {
    const fn bytes(self) -> usize {
        match self {
            ProductOutput::Bf16 => 2,
            ProductOutput::F32 => 4,
        }
    }

    const fn kind(self) -> sys::cudaDataType_t {
        match self {
            ProductOutput::Bf16 => sys::cudaDataType_t::CUDA_R_16BF,
            ProductOutput::F32 => sys::cudaDataType_t::CUDA_R_32F,
        }
    }
}

/// One product. All pointers are to device memory.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub rows: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// bf16 `[rows][inputs]`.
    pub x: DevicePointer,
    /// bf16 `[outputs][inputs]`.
    pub weights: DevicePointer,
    /// `[rows][outputs]`.
    pub out: DevicePointer,
    pub kind: ProductOutput,
}

type Shape = (usize, usize, usize, ProductOutput);

/// The library on one card, with a workspace and the algorithm of every shape that was asked for.
///
/// A shape always gets the algorithm of its first call: the same product gives the same bits.
pub struct Blas {
    entry: Arc<Entry>,
    handle: sys::cublasLtHandle_t,
    product: sys::cublasLtMatmulDesc_t,
    preference: sys::cublasLtMatmulPreference_t,
    chosen: HashMap<Shape, Chosen>,
    workspace: DeviceBuffer,
}

// SAFETY: handles may be used from any thread, one at a time, which `&mut self` keeps.
unsafe impl Send for Blas {}

struct Chosen {
    weights: Layout,
    x: Layout,
    out: Layout,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

/// A matrix as the library sees it, destroyed on every way out.
struct Layout {
    entry: Arc<Entry>,
    handle: sys::cublasLtMatrixLayout_t,
}

impl Layout {
    fn new(
        entry: &Arc<Entry>,
        kind: sys::cudaDataType_t,
        rows: usize,
        columns: usize,
    ) -> Result<Layout, BlasError> {
        let mut handle = ptr::null_mut();
        // SAFETY: the pointer is to a live handle.
        let status =
            unsafe { (entry.create_layout)(&mut handle, kind, rows as u64, columns as u64, rows as i64) };
        check("describe a matrix", status)?;
        Ok(Layout { entry: entry.clone(), handle })
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once. A failure here leaves nothing to do.
        let _ = unsafe { (self.entry.destroy_layout)(self.handle) };
    }
}

impl Blas {
    /// Opens the library and makes its workspace on `device`.
    ///
    /// # Errors
    /// No library, one that lacks a function, or one that refuses.
    pub fn new(device: &Device) -> Result<Blas, CudaError> {
        let entry = Arc::new(Entry::open()?);
        let workspace = DeviceBuffer::new(device, WORKSPACE_BYTES)?;
        device.bind()?;
        let mut blas = Blas {
            entry,
            handle: ptr::null_mut(),
            product: ptr::null_mut(),
            preference: ptr::null_mut(),
            chosen: HashMap::new(),
            workspace,
        };
        blas.set_up()?;
        Ok(blas)
    }

    fn set_up(&mut self) -> Result<(), BlasError> {
        let (compute, scale) =
            (sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType_t::CUDA_R_32F);
        let transpose = sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA;
        let most = sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        // SAFETY: the handles live in `self`, and attributes are read during the calls.
        unsafe {
            check("start", (self.entry.create)(&mut self.handle))?;
            check("describe a product", (self.entry.create_product)(&mut self.product, compute, scale))?;
            let (value, bytes) = bytes_of(&TRANSPOSED);
            check("transpose a matrix", (self.entry.set_product)(self.product, transpose, value, bytes))?;
            check("state preferences", (self.entry.create_preference)(&mut self.preference))?;
            let (value, bytes) = bytes_of(&WORKSPACE_BYTES);
            check("limit its workspace", (self.entry.set_preference)(self.preference, most, value, bytes))
        }
    }

    /// The library's version, e.g. 130100.
    pub fn version(&self) -> usize {
        // SAFETY: takes nothing.
        unsafe { (self.entry.version)() }
    }

    /// Enqueues a product.
    ///
    /// # Errors
    /// A buffer that is too small, a shape that the library cannot do, or a library that refuses.
    pub fn multiply(&mut self, stream: &Stream, product: &Product) -> Result<(), CudaError> {
        let Product { rows, inputs, outputs, kind, .. } = *product;
        if rows == 0 {
            return Ok(());
        }
        let x = product.x.holds("product's input", rows * inputs * BF16_BYTES)?;
        let weights = product.weights.holds("product's weights", outputs * inputs * BF16_BYTES)?;
        let out = product.out.holds("product's output", rows * outputs * kind.bytes())?;
        stream.device().bind()?;
        let shape = (rows, inputs, outputs, kind);
        if !self.chosen.contains_key(&shape) {
            let chosen = self.choose(shape)?;
            self.chosen.insert(shape, chosen);
        }
        let chosen = &self.chosen[&shape];
        let (one, zero) = (1.0_f32, 0.0_f32);
        let scalar = |value: &f32| ptr::from_ref(value).cast::<c_void>();
        // SAFETY: the layouts are those of the buffers, whose sizes are checked above; alpha and beta are read
        // during the call; a CUDA stream of the driver is one of the runtime.
        let status = unsafe {
            (self.entry.matmul)(
                self.handle,
                self.product,
                scalar(&one),
                weights as *const c_void,
                chosen.weights.handle,
                x as *const c_void,
                chosen.x.handle,
                scalar(&zero),
                out as *const c_void,
                chosen.out.handle,
                out as *mut c_void,
                chosen.out.handle,
                &chosen.algorithm,
                self.workspace.pointer().address() as *mut c_void,
                WORKSPACE_BYTES,
                stream.raw().cast(),
            )
        };
        Ok(check("multiply", status)?)
    }

    /// Asks the library's heuristics for the algorithm of a shape.
    fn choose(&self, (rows, inputs, outputs, kind): Shape) -> Result<Chosen, BlasError> {
        let bf16 = sys::cudaDataType_t::CUDA_R_16BF;
        let weights = Layout::new(&self.entry, bf16, inputs, outputs)?;
        let x = Layout::new(&self.entry, bf16, inputs, rows)?;
        let out = Layout::new(&self.entry, kind.kind(), outputs, rows)?;
        let mut found = std::mem::MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::zeroed();
        let mut count = 0;
        // SAFETY: all handles are live, and there is room for the one result that is asked for.
        let status = unsafe {
            (self.entry.heuristic)(
                self.handle,
                self.product,
                weights.handle,
                x.handle,
                out.handle,
                out.handle,
                self.preference,
                1,
                found.as_mut_ptr(),
                &mut count,
            )
        };
        check("choose an algorithm", status)?;
        if count == 0 {
            return Err(BlasError::NoAlgorithm { rows, inputs, outputs });
        }
        // SAFETY: the library has written one result.
        let algorithm = unsafe { found.assume_init() }.algo;
        Ok(Chosen { weights, x, out, algorithm })
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        self.chosen.clear();
        // SAFETY: made in `set_up` or null, destroyed once. A failure here leaves nothing to do.
        unsafe {
            if !self.preference.is_null() {
                let _ = (self.entry.destroy_preference)(self.preference);
            }
            if !self.product.is_null() {
                let _ = (self.entry.destroy_product)(self.product);
            }
            if !self.handle.is_null() {
                let _ = (self.entry.destroy)(self.handle);
            }
        }
    }
}

fn bytes_of<T>(value: &T) -> (*const c_void, usize) {
    (ptr::from_ref(value).cast(), size_of::<T>())
}
