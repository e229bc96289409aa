//! The cache of compiled kernels, with a compiler that counts instead of compiling.

use std::cell::Cell;
use std::fs;

use attentionstore_cuda::CompileError;
use attentionstore_cuda::compile::{
    Architecture, CompiledKernel, Compiler, KernelCache, KernelSource, Nvrtc, Origin,
};

const HEADERS: &[(&str, &str)] = &[("a.cuh", "header")];
const SOURCE: KernelSource = KernelSource { name: "a.cu", text: "source", headers: HEADERS, only: None };

struct Counting {
    version: &'static str,
    calls: Cell<u32>,
}

impl Counting {
    fn new(version: &'static str) -> Counting {
        Counting { version, calls: Cell::new(0) }
    }
}

impl Compiler for Counting {
    fn identity(&self) -> String {
        self.version.to_owned()
    }

    fn compile(
        &self,
        source: &KernelSource,
        architecture: &Architecture,
    ) -> Result<CompiledKernel, CompileError> {
        self.calls.set(self.calls.get() + 1);
        let cubin = format!("{} for {architecture}", source.text).into_bytes();
        Ok(CompiledKernel { cubin, log: format!("log of {}", source.name) })
    }
}

fn hopper() -> Architecture {
    Architecture::of_capability((9, 0)).unwrap()
}

#[test]
fn a_kernel_is_compiled_once_and_comes_back_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let cache = KernelCache::new(directory.path().join("not/yet/there"));
    let compiler = Counting::new("1");
    let (first, origin) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
    assert!(matches!(origin, Origin::Compiled), "{origin:?}");
    let (second, origin) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
    assert!(matches!(origin, Origin::Cached), "{origin:?}");
    assert_eq!(first, second);
    assert_eq!(second.cubin, b"source for sm_90a");
    assert_eq!(compiler.calls.get(), 1);
}

#[test]
fn whatever_the_code_depends_on_makes_another_entry() {
    let directory = tempfile::tempdir().unwrap();
    let cache = KernelCache::new(directory.path());
    let (one, two) = (Counting::new("1"), Counting::new("2"));
    let ampere = Architecture::of_capability((8, 0)).unwrap();
    let path = |compiler: &Counting, source: &KernelSource, architecture: &Architecture| {
        cache.entry_path(compiler, source, architecture)
    };
    let paths = [
        path(&one, &SOURCE, &hopper()),
        path(&two, &SOURCE, &hopper()),
        path(&one, &SOURCE, &ampere),
        path(&one, &KernelSource { text: "sourc", ..SOURCE }, &hopper()),
        path(&one, &KernelSource { name: "b.cu", ..SOURCE }, &hopper()),
        path(&one, &KernelSource { headers: &[("a.cuh", "header2")], ..SOURCE }, &hopper()),
        path(&one, &KernelSource { headers: &[("a.cuhh", "eader")], ..SOURCE }, &hopper()),
    ];
    for (at, path) in paths.iter().enumerate() {
        assert!(!paths[..at].contains(path), "entry {at} is an earlier one");
    }
}

#[test]
fn a_damaged_entry_is_compiled_again_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let cache = KernelCache::new(directory.path());
    let compiler = Counting::new("1");
    let (good, _) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
    let path = cache.entry_path(&compiler, &SOURCE, &hopper());
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(3) {
        fs::write(&path, &whole[..length]).unwrap();
        let (again, origin) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
        assert!(matches!(origin, Origin::Repaired), "cut to {length}: {origin:?}");
        assert_eq!(again, good);
    }
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, damaged).unwrap();
        let (again, origin) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
        assert!(matches!(origin, Origin::Repaired), "byte {at} turned: {origin:?}");
        assert_eq!(again, good);
    }
    let (_, origin) = cache.get(&compiler, &SOURCE, &hopper()).unwrap();
    assert!(matches!(origin, Origin::Cached), "{origin:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something was left aside");
}

#[test]
fn a_cache_that_cannot_be_written_still_gives_the_kernel() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file");
    fs::write(&file, "").unwrap();
    let (kernel, origin) = KernelCache::new(&file).get(&Counting::new("1"), &SOURCE, &hopper()).unwrap();
    assert_eq!(kernel.cubin, b"source for sm_90a");
    assert!(matches!(origin, Origin::NotKept(CompileError::Cache { .. })), "{origin:?}");
}

#[test]
fn a_directory_without_a_compiler_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let error = Nvrtc::open(Some(directory.path())).err().expect("an empty directory has no compiler");
    assert!(matches!(error, CompileError::NoCompiler { .. }));
    assert!(error.to_string().contains(&*directory.path().to_string_lossy()), "{error}");
}

#[test]
fn a_library_that_is_no_compiler_is_passed_by() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("libnvrtc.so"), "not a library").unwrap();
    let error = Nvrtc::open(Some(directory.path())).err().expect("that was no library");
    assert!(matches!(error, CompileError::NoCompiler { .. }), "{error}");
}
