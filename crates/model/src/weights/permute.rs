//! Undoing the row order in which llama-architecture GGUF files keep Q and K.
//!
//! ggml rotates neighbouring elements (2i, 2i + 1) of such a head, Hugging Face (and we) elements (i, i + r/2) of
//! its r rotated ones, so the converter interleaves the two halves of every head's rows. Both orders give the same
//! scores; undoing it at load leaves one rotation in the whole server. Rows are moved whole, in their stored format.

use std::sync::Arc;

use super::{Tensor, TensorBytes};

/// The row of the stored head in which Hugging Face's row `row` of a head lies.
fn stored_row(row: usize, rotary_dim: usize) -> usize {
    let half = rotary_dim / 2;
    match row {
        row if row < half => 2 * row,
        row if row < rotary_dim => 2 * (row - half) + 1,
        row => row,
    }
}

/// `tensor` (`[heads · head_dim][columns]`, rows interleaved per head) in Hugging Face order, in memory of its own.
pub fn deinterleave_heads(tensor: &Tensor, head_dim: usize, rotary_dim: usize) -> Tensor {
    let mut bytes = Vec::with_capacity(tensor.rows * tensor.row_bytes());
    for row in 0..tensor.rows {
        let (head, row) = (row / head_dim, row % head_dim);
        bytes.extend_from_slice(tensor.row(head * head_dim + stored_row(row, rotary_dim)));
    }
    Tensor { bytes: TensorBytes::Owned(Arc::from(bytes)), ..tensor.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::WeightDtype;

    fn column(rows: impl Iterator<Item = usize>) -> Tensor {
        let bytes: Vec<u8> = rows.flat_map(|row| (row as f32).to_le_bytes()).collect();
        let rows = bytes.len() / 4;
        let bytes = TensorBytes::Owned(Arc::from(bytes));
        Tensor { name: "q".into(), dtype: WeightDtype::F32, rows, columns: 1, bytes }
    }

    /// What the converter does to a head of `dim` rows: reshape to [2][dim / 2], swap, flatten.
    fn interleaved(head: usize, dim: usize) -> impl Iterator<Item = usize> {
        (0..dim / 2).flat_map(move |i| [head * dim + i, head * dim + dim / 2 + i])
    }

    #[test]
    fn undoes_the_converters_interleaving_head_by_head() {
        let stored = column((0..3).flat_map(|head| interleaved(head, 6)));
        let expected = column(0..18);
        assert_eq!(deinterleave_heads(&stored, 6, 6).bytes(), expected.bytes());
    }

    #[test]
    fn leaves_rows_beyond_the_rotated_ones_in_place() {
        let stored = column([0, 2, 1, 3, 4, 5].into_iter());
        assert_eq!(deinterleave_heads(&stored, 6, 4).bytes(), column(0..6).bytes());
    }
}
