//! Tensors as Hopper's copy engine sees them.

use std::ptr;

use cudarc::driver::sys;

use super::DevicePointer;
use crate::error::{CudaError, DriverContext};

/// Most dimensions that the copy engine knows.
const MOST_DIMENSIONS: usize = 5;
/// Most elements of a box along one dimension.
const MOST_BOX: usize = 256;
const BF16_BYTES: usize = 2;

/// Describes a tensor of bf16 without gaps, and the boxes of it that a kernel copies into shared memory in the
/// 128-byte swizzle of `wgmma.cuh`. What a box reaches beyond the tensor becomes zeros. An argument of a kernel.
///
/// It does not keep the memory alive.
#[derive(Clone, Copy)]
pub struct TensorMap(sys::CUtensorMap);

impl TensorMap {
    /// `sizes` and `boxes` in elements, the dimension that is contiguous in memory first.
    ///
    /// # Errors
    /// Memory that is too small, more dimensions or larger boxes than the engine has, or a driver that refuses.
    pub fn new(memory: DevicePointer, sizes: &[usize], boxes: &[usize]) -> Result<TensorMap, CudaError> {
        let fits = sizes.len() == boxes.len()
            && (1..=MOST_DIMENSIONS).contains(&sizes.len())
            && boxes.iter().all(|length| (1..=MOST_BOX).contains(length));
        if !fits {
            return Err(CudaError::invalid("tensor map", format!("boxes of {boxes:?} in {sizes:?}")));
        }
        let address = memory.holds("tensor", sizes.iter().product::<usize>() * BF16_BYTES)?;
        let strides: Vec<u64> = sizes[..sizes.len() - 1]
            .iter()
            .scan(BF16_BYTES, |bytes, size| {
                *bytes *= size;
                Some(*bytes as u64)
            })
            .collect();
        let lengths: Vec<u64> = sizes.iter().map(|&size| size as u64).collect();
        let boxes: Vec<u32> = boxes.iter().map(|&length| length as u32).collect();
        let every = [1; MOST_DIMENSIONS];
        let mut map = sys::CUtensorMap { opaque: [0; 16] };
        // SAFETY: the arrays have an element for each dimension, the strides one fewer, and are read during the call.
        unsafe {
            sys::cuTensorMapEncodeTiled(
                ptr::from_mut(&mut map),
                sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                sizes.len() as u32,
                address as *mut _,
                lengths.as_ptr(),
                strides.as_ptr(),
                boxes.as_ptr(),
                every.as_ptr(),
                sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        }
        .result()
        .asked_to("describe a tensor")?;
        Ok(TensorMap(map))
    }

    pub(super) fn words(&self) -> [u64; 16] {
        self.0.opaque
    }
}
