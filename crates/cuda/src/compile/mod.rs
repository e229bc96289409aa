//! From kernel source to a CUBIN for one architecture, through a cache on disk.

mod architecture;
mod cache;
mod nvrtc;
mod resources;
pub(crate) mod source;

pub use architecture::Architecture;
pub use cache::{CompiledKernel, KernelCache, Origin};
pub use nvrtc::Nvrtc;
pub use resources::{KernelResources, parse_resources};
pub use source::{KernelSource, SOURCES};

/// Options every kernel is compiled with. `-v` makes the assembler report registers and spills.
/// No fast-math: division and square root keep their IEEE results.
pub const OPTIONS: [&str; 3] = ["--std=c++17", "--ptxas-options=-v", "-default-device"];

/// Whatever turns a source into a CUBIN: NVRTC, or in tests something that counts its calls.
pub trait Compiler {
    /// Name and version, part of a cache entry's key.
    fn identity(&self) -> String;

    /// # Errors
    /// The source does not compile, or the compiler cannot compile for `architecture`.
    fn compile(
        &self,
        source: &KernelSource,
        architecture: &Architecture,
    ) -> Result<CompiledKernel, crate::error::CompileError>;
}
