//! Rows of f32 for activations, and the way several threads write different columns of them.

use std::marker::PhantomData;

use super::simd::{LANES, Lanes};

/// Rows are whole numbers of blocks of this many elements, so that every weight format can read them.
const ROW_MULTIPLE: usize = 32;

/// Rows of f32, each of `width` elements in whole blocks of 32. What lies beyond a row's own elements is zero,
/// and stays so: products write zeros there, because weights beyond a matrix are zero.
pub struct Rows {
    data: Vec<f32>,
    width: usize,
}

impl Rows {
    /// `rows` rows of at least `length` elements, all zero.
    pub fn new(rows: usize, length: usize) -> Rows {
        let width = length.next_multiple_of(ROW_MULTIPLE);
        Rows { data: vec![0.0; rows * width], width }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn rows(&self) -> usize {
        self.data.len() / self.width
    }

    pub fn data(&self) -> &[f32] {
        &self.data
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..(row + 1) * self.width]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.width..(row + 1) * self.width]
    }

    /// Copies a row over another.
    pub fn copy_row(&mut self, from: usize, to: usize) {
        self.data.copy_within(from * self.width..(from + 1) * self.width, to * self.width);
    }

    /// For threads that write different parts.
    pub fn shared(&mut self) -> SharedRows<'_> {
        SharedRows {
            data: self.data.as_mut_ptr(),
            len: self.data.len(),
            width: self.width,
            rows: PhantomData,
        }
    }
}

/// Rows that several threads write at once, each its own elements.
#[derive(Clone, Copy)]
pub struct SharedRows<'a> {
    data: *mut f32,
    len: usize,
    width: usize,
    rows: PhantomData<&'a mut [f32]>,
}

// SAFETY: the only access is through methods whose callers promise disjoint elements.
unsafe impl Send for SharedRows<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedRows<'_> {}

impl<'a> SharedRows<'a> {
    /// Elements `column…column + length` of a row.
    ///
    /// # Safety
    /// No other thread touches these elements as long as the result lives.
    ///
    /// # Panics
    /// They do not lie in one row.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, row: usize, column: usize, length: usize) -> &'a mut [f32] {
        let start = row * self.width + column;
        assert!(column + length <= self.width && start + length <= self.len, "part of one row");
        // SAFETY: inside the buffer as just checked; exclusive as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), length) }
    }

    /// Sixteen elements of a row.
    ///
    /// # Safety
    /// As [`SharedRows::part`].
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn lanes(&self, row: usize, column: usize) -> &'a mut Lanes {
        // SAFETY: as the caller promises.
        let part = unsafe { self.part(row, column, LANES) };
        part.try_into().expect("a part of sixteen elements")
    }
}

/// The same rows as whole lanes.
#[inline(always)]
pub fn as_lanes(row: &[f32]) -> &[Lanes] {
    row.as_chunks::<LANES>().0
}

/// The same rows as whole lanes.
#[inline(always)]
pub fn as_lanes_mut(row: &mut [f32]) -> &mut [Lanes] {
    row.as_chunks_mut::<LANES>().0
}
