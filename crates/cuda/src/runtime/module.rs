//! Machine code on the card, and calling it.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::{Device, Stream, TensorMap};
use crate::error::{CudaError, DriverContext};

/// A loaded CUBIN.
pub struct Module(Arc<Loaded>);

struct Loaded {
    device: Device,
    handle: sys::CUmodule,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Loaded {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Loaded {}

/// One entry point. Keeps its module loaded.
pub struct Function {
    module: Arc<Loaded>,
    handle: sys::CUfunction,
    shared_bytes: u32,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Function {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Function {}

/// How many CTAs, and how many threads each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub ctas: (usize, usize, usize),
    pub threads: u32,
}

/// A kernel's arguments in order: words of eight bytes, of which the driver reads as many as the argument has, from
/// the low end of its first one on.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    words: Vec<u64>,
    /// Of each argument, its first word.
    starts: Vec<usize>,
}

impl Arguments {
    pub fn new() -> Arguments {
        Arguments::default()
    }

    #[must_use]
    pub fn address(self, value: u64) -> Arguments {
        self.words(&[value])
    }

    #[must_use]
    pub fn tensor(self, map: &TensorMap) -> Arguments {
        self.words(&map.words())
    }

    fn words(mut self, words: &[u64]) -> Arguments {
        self.starts.push(self.words.len());
        self.words.extend(words);
        self
    }

    #[must_use]
    pub fn u32(self, value: u32) -> Arguments {
        self.address(u64::from(value))
    }

    #[must_use]
    pub fn f32(self, value: f32) -> Arguments {
        self.address(u64::from(value.to_bits()))
    }
}

impl Module {
    /// # Errors
    /// The driver refuses the code, for instance one for another architecture.
    pub fn load(device: &Device, cubin: &[u8]) -> Result<Module, CudaError> {
        device.bind()?;
        // SAFETY: a CUBIN says its own length, and comes from the compiler or a cache entry whose hash fits.
        let handle = unsafe { result::module::load_data(cubin.as_ptr().cast()) }.asked_to("load a kernel")?;
        Ok(Module(Arc::new(Loaded { device: device.clone(), handle })))
    }

    /// The entry point `name`, called with `shared_bytes` of dynamic shared memory.
    ///
    /// # Errors
    /// No such entry point, or more shared memory than a CTA of this card can have.
    pub fn function(&self, name: &str, shared_bytes: u32) -> Result<Function, CudaError> {
        self.0.device.bind()?;
        let symbol = CString::new(name).map_err(|_| CudaError::invalid("kernel name", name))?;
        // SAFETY: the module is loaded.
        let handle =
            unsafe { result::module::get_function(self.0.handle, symbol) }.asked_to("find a kernel")?;
        let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the handle is of a loaded module.
        unsafe { result::function::set_function_attribute(handle, attribute, shared_bytes as i32) }
            .asked_to("give a kernel its shared memory")?;
        Ok(Function { module: self.0.clone(), handle, shared_bytes })
    }
}

impl Function {
    /// Enqueues the kernel. A grid without CTAs is nothing to do.
    ///
    /// # Errors
    /// A stream of another card, a grid beyond the card's limits, or a driver that refuses.
    ///
    /// # Safety
    /// The arguments must be the kernel's, in number, order and type, and the memory they point to must be
    /// what the kernel's file says.
    pub unsafe fn launch(&self, stream: &Stream, grid: Grid, arguments: &Arguments) -> Result<(), CudaError> {
        if !self.module.device.is(stream.device()) {
            return Err(CudaError::invalid("launch", "the stream is of another card"));
        }
        let (x, y, z) = grid.ctas;
        if x == 0 || y == 0 || z == 0 {
            return Ok(());
        }
        let limit = u32::from(u16::MAX) as usize;
        if x > i32::MAX as usize || y > limit || z > limit {
            return Err(CudaError::invalid("launch", format!("a grid of {x} × {y} × {z}")));
        }
        self.module.device.bind()?;
        let mut pointers: Vec<*mut c_void> =
            arguments.starts.iter().map(|&at| (&raw const arguments.words[at]).cast_mut().cast()).collect();
        let ctas = (x as u32, y as u32, z as u32);
        // SAFETY: the words outlive the call, which copies them; the caller vouches for the rest.
        unsafe {
            result::launch_kernel(
                self.handle,
                ctas,
                (grid.threads, 1, 1),
                self.shared_bytes,
                stream.handle,
                &mut pointers,
            )
        }
        .asked_to("launch a kernel")
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: loaded in `load`, unloaded once. A failure at the end has nobody left to hear it.
            let _ = unsafe { result::module::unload(self.handle) };
        }
    }
}
