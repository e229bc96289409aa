//! The kernels and the runtime on a card, against plain references written here. Without a card, or without
//! NVRTC, every test says its name and why it is skipped.
//!
//! Outputs are poisoned before each run, sizes are odd and all different, blocks are partly filled.

mod attention;
mod blas;
mod cases;
mod graph;
mod rope;
mod rows;
mod runtime;
mod support;
