//! Every kernel compiles for every architecture, within a recorded bound of spills. Needs NVRTC, no card.

use std::io::Write;
use std::path::Path;

use attentionstore_cuda::CompileError;
use attentionstore_cuda::compile::{
    Architecture, CompiledKernel, Compiler, KernelCache, KernelSource, Nvrtc, SOURCES, parse_resources,
};

/// Bytes of spill stores that a function may have where it is named here; every other one has none. These
/// hold 32 query rows a warp in 255 registers; what spills is addresses, outside the products.
const SPILL_BOUNDS: [(&str, u32); 4] = [
    ("prefill_attention_dense_128", 64),
    ("prefill_attention_blocked_128", 64),
    ("prefill_attention_dense_96", 32),
    ("prefill_attention_blocked_96", 32),
];

/// The compiler, or the test's name on the terminal (past the capture of test output) and nothing.
fn compiler_for(test: &str) -> Option<Nvrtc> {
    Nvrtc::open(None)
        .map_err(|reason| {
            let _ = std::io::stderr().write_all(format!("skipped {test}: {reason}\n").as_bytes());
        })
        .ok()
}

fn compile(compiler: &Nvrtc, source: &KernelSource, architecture: &Architecture) -> CompiledKernel {
    let cache = KernelCache::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
    let (kernel, _) = cache
        .get(compiler, source, architecture)
        .unwrap_or_else(|error| panic!("{} for {architecture}: {error}", source.name));
    kernel
}

#[test]
fn every_kernel_compiles_for_every_architecture_within_its_bound_of_spills() {
    let Some(compiler) = compiler_for("every_kernel_compiles_for_every_architecture") else { return };
    let mut functions = 0;
    for source in SOURCES {
        for architecture in Architecture::checked().into_iter().filter(|each| source.is_for(each)) {
            let kernel = compile(&compiler, source, &architecture);
            assert!(kernel.cubin.starts_with(b"\x7fELF"), "{} for {architecture}", source.name);
            for resources in parse_resources(&kernel.log) {
                let bound = SPILL_BOUNDS.iter().find(|(name, _)| *name == resources.function);
                let bound = bound.map_or(0, |(_, bytes)| *bytes);
                assert!(resources.spill_store_bytes <= bound, "{architecture}: {resources:?}");
                assert!(resources.registers > 0, "{architecture}: {resources:?}");
                functions += 1;
            }
        }
    }
    assert!(functions >= SOURCES.len() * 3, "only {functions} functions reported their resources");
}

#[test]
fn a_source_with_a_mistake_is_refused_with_the_compilers_words() {
    let Some(compiler) = compiler_for("a_source_with_a_mistake_is_refused") else { return };
    let source = KernelSource { name: "wrong.cu", text: "this is no kernel", headers: &[], only: None };
    let architecture = Architecture::of_capability((9, 0)).unwrap();
    let error = compiler.compile(&source, &architecture).unwrap_err();
    assert!(matches!(error, CompileError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("wrong.cu"), "{error}");
}

#[test]
fn an_architecture_that_the_compiler_does_not_know_is_refused_by_name() {
    let Some(compiler) = compiler_for("an_architecture_that_the_compiler_does_not_know") else { return };
    let future = Architecture::of_capability((99, 0)).unwrap();
    let error = compiler.compile(&SOURCES[0], &future).unwrap_err();
    assert!(matches!(error, CompileError::Architecture { .. }), "{error}");
}
