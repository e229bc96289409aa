//! Panels hold what the file holds: expanded, every weight is the reference's, bit for bit.

use super::{PAIR, PackedMatrix, PanelBlock, expand, weights_of, with_panels};
use crate::backend::cpu::simd::{Available, Isa, Kernel, LANES, Lanes, Simd};
use crate::weights::{Tensor, TensorBytes, WeightDtype};

const ALL: [WeightDtype; 9] = [
    WeightDtype::F32,
    WeightDtype::F16,
    WeightDtype::Bf16,
    WeightDtype::Q8_0,
    WeightDtype::Q4_0,
    WeightDtype::Q4_1,
    WeightDtype::Q4K,
    WeightDtype::Q5K,
    WeightDtype::Q6K,
];

/// Where the f16 numbers of a stored block stand.
fn halves(dtype: WeightDtype) -> &'static [usize] {
    match dtype {
        WeightDtype::F32 | WeightDtype::Bf16 => &[],
        WeightDtype::F16 | WeightDtype::Q8_0 | WeightDtype::Q4_0 => &[0],
        WeightDtype::Q4_1 | WeightDtype::Q4K | WeightDtype::Q5K => &[0, 2],
        WeightDtype::Q6K => &[208],
    }
}

/// Any bits at all, except that numbers are finite; every seventh block has scales of zero or the smallest ones.
fn tensor(dtype: WeightDtype, rows: usize, columns: usize) -> Tensor {
    let mut state = 9u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> =
        (0..rows * columns / dtype.block_len() * dtype.block_bytes()).map(|_| random()).collect();
    for (index, block) in bytes.chunks_exact_mut(dtype.block_bytes()).enumerate() {
        for &at in halves(dtype) {
            block[at + 1] &= if index % 7 == 0 { 0x80 } else { 0xbf };
            block[at] &= if index % 14 == 0 { 1 } else { 0xff };
        }
        if matches!(dtype, WeightDtype::F32 | WeightDtype::Bf16) {
            let last = block.len() - 1;
            block[last] &= 0xbf;
        }
    }
    Tensor { name: "test".into(), dtype, rows, columns, bytes: TensorBytes::Owned(bytes.into()) }
}

/// Expands one block.
struct One<'a, B>(&'a B, &'a mut [Lanes]);

impl<B: PanelBlock> Kernel for One<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        expand(s, self.0, self.1);
    }
}

/// All weights `[row][input]` of a packed matrix, rows and inputs filled up.
fn expanded<B: PanelBlock>(isa: Available, matrix: &PackedMatrix, blocks: &[B]) -> Vec<Vec<f32>> {
    let a_row = matrix.inputs / weights_of(blocks);
    let mut rows = vec![vec![f32::NAN; matrix.inputs]; blocks.len() / a_row * LANES];
    let mut tile = vec![[0.0; LANES]; B::WEIGHTS];
    for (index, block) in blocks.iter().enumerate() {
        isa.run(One(block, &mut tile));
        let panel = index / PAIR / a_row * PAIR + index % PAIR;
        let first = index / PAIR % a_row * B::WEIGHTS;
        for (k, lanes) in tile.iter().enumerate() {
            for (column, &weight) in lanes.iter().enumerate() {
                rows[panel * LANES + column][first + k] = weight;
            }
        }
    }
    rows
}

#[test]
fn every_format_expands_to_the_reference_bit_for_bit_and_to_zeros_beyond() {
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        let Some(isa) = Available::new(isa) else {
            println!("skipped: {} (not on this machine)", isa.name());
            continue;
        };
        for dtype in ALL {
            // 37 rows: two panels and five rows, then a panel that is only a partner.
            let columns = if dtype.block_len() == 1 { 50 } else { 512 };
            let tensor = tensor(dtype, 37, columns);
            let matrix = PackedMatrix::new(&tensor, 3).unwrap();
            let rows = with_panels!(&matrix.panels, blocks => expanded(isa, &matrix, blocks));
            for (row, found) in rows.iter().enumerate() {
                let mut wanted = vec![0.0; matrix.inputs];
                if row < 37 {
                    tensor.dequantize_row(row, &mut wanted[..columns]);
                }
                let bits =
                    |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<u32>>();
                let same = if row < 37 { bits(found) == bits(&wanted) } else { *found == wanted };
                assert!(same, "{dtype}, {}, row {row}:\n{found:?}\n{wanted:?}", isa.isa().name());
            }
        }
    }
}

#[test]
fn panels_take_the_bits_of_the_stored_format() {
    for dtype in ALL {
        let tensor = tensor(dtype, 64, 512);
        let matrix = PackedMatrix::new(&tensor, 1).unwrap();
        let bytes = with_panels!(&matrix.panels, blocks => size_of_val(blocks.as_slice()));
        assert_eq!(bytes, tensor.bytes().len(), "{dtype}");
    }
}

#[test]
fn a_tensor_whose_bytes_do_not_fit_its_shape_is_an_error() {
    let whole = tensor(WeightDtype::Q4_1, 4, 64);
    let cut = TensorBytes::Owned(whole.bytes()[1..].into());
    assert!(PackedMatrix::new(&Tensor { bytes: cut, ..whole.clone() }, 1).is_err());
    assert!(PackedMatrix::new(&Tensor { columns: 40, ..whole.clone() }, 1).is_err());
    assert!(PackedMatrix::new(&Tensor { rows: 0, ..whole }, 1).is_err());
}
