//! Compiled kernels on disk. An entry is only ever a shortcut: one that is missing, damaged or cannot be
//! written costs a compilation, never an error or a wrong kernel.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Architecture, Compiler, KernelSource, OPTIONS};
use crate::error::CompileError;

const MAGIC: &[u8; 8] = b"ASCUBIN1";
const HASH_BYTES: usize = 32;
const LENGTH_BYTES: usize = 8;

/// A kernel's machine code and what the compiler said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledKernel {
    pub cubin: Vec<u8>,
    pub log: String,
}

/// Where a kernel came from.
#[derive(Debug)]
pub enum Origin {
    /// The disk.
    Cached,
    /// The compiler; the disk has it now.
    Compiled,
    /// The compiler, because the entry on disk was damaged; it is replaced.
    Repaired,
    /// The compiler; it could not be kept.
    NotKept(CompileError),
}

/// A directory of compiled kernels. Any number of processes may share one.
#[derive(Clone, Debug)]
pub struct KernelCache {
    directory: PathBuf,
}

impl KernelCache {
    /// The directory is made when the first kernel is kept.
    pub fn new(directory: impl Into<PathBuf>) -> KernelCache {
        KernelCache { directory: directory.into() }
    }

    /// Where the entry of `source` lies.
    pub fn entry_path(
        &self,
        compiler: &dyn Compiler,
        source: &KernelSource,
        architecture: &Architecture,
    ) -> PathBuf {
        self.directory.join(format!("{}.cubin", key(&compiler.identity(), source, architecture)))
    }

    /// The compiled kernel, from the disk if an undamaged entry is there.
    ///
    /// # Errors
    /// Only the compiler's.
    pub fn get(
        &self,
        compiler: &dyn Compiler,
        source: &KernelSource,
        architecture: &Architecture,
    ) -> Result<(CompiledKernel, Origin), CompileError> {
        let path = self.entry_path(compiler, source, architecture);
        let entry = fs::read(&path).ok();
        let damaged = match entry.as_deref().map(decode) {
            Some(Some(kernel)) => return Ok((kernel, Origin::Cached)),
            Some(None) => true,
            None => false,
        };
        let kernel = compiler.compile(source, architecture)?;
        let origin = match write_aside(&path, &encode(&kernel)) {
            Ok(()) if damaged => Origin::Repaired,
            Ok(()) => Origin::Compiled,
            Err(source) => Origin::NotKept(CompileError::Cache { path, source }),
        };
        Ok((kernel, origin))
    }
}

/// BLAKE3 over everything the machine code depends on, each part with its length so that none runs into the
/// next.
fn key(compiler: &str, source: &KernelSource, architecture: &Architecture) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(MAGIC);
    part(compiler.as_bytes());
    part(architecture.name().as_bytes());
    OPTIONS.iter().for_each(|option| part(option.as_bytes()));
    part(source.name.as_bytes());
    part(source.text.as_bytes());
    for (name, text) in source.headers {
        part(name.as_bytes());
        part(text.as_bytes());
    }
    hasher.finalize()
}

/// Magic, hash of the rest, length of the log, log, CUBIN.
fn encode(kernel: &CompiledKernel) -> Vec<u8> {
    let mut body = (kernel.log.len() as u64).to_le_bytes().to_vec();
    body.extend_from_slice(kernel.log.as_bytes());
    body.extend_from_slice(&kernel.cubin);
    let mut entry = MAGIC.to_vec();
    entry.extend_from_slice(blake3::hash(&body).as_bytes());
    entry.extend_from_slice(&body);
    entry
}

fn decode(entry: &[u8]) -> Option<CompiledKernel> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (hash, body) = rest.split_at_checked(HASH_BYTES)?;
    if blake3::hash(body).as_bytes() != hash {
        return None;
    }
    let (length, rest) = body.split_at_checked(LENGTH_BYTES)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (log, cubin) = rest.split_at_checked(length)?;
    Some(CompiledKernel { cubin: cubin.to_vec(), log: String::from_utf8(log.to_vec()).ok()? })
}

/// Written under another name, flushed, renamed: a reader sees the whole entry or none.
fn write_aside(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("{}-{number}.aside", std::process::id()));
    let written = File::create(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // The first error is the one that matters; what is left aside is never read.
        let _ = fs::remove_file(&aside);
    }
    written.and_then(|()| File::open(directory)?.sync_all())
}
