//! How wide attention is launched: what its kernels and the workspace of their partial results share.

/// Query rows (token × head of the group) of a CTA of prefill attention.
pub(super) const TILE_ROWS: usize = 128;
/// CTAs of prefill attention for each multiprocessor below which the keys are split.
pub(super) const PREFILL_WAVES: usize = 4;
/// CTAs of decode attention for each multiprocessor at most. The workspace is for so many.
pub(super) const DECODE_WAVES: usize = 24;
