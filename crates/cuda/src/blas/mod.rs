//! Matrix products through cuBLASLt, opened at run time.

mod library;
mod product;

pub use product::{Blas, Product, ProductOutput, WORKSPACE_BYTES};
