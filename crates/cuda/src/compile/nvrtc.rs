//! NVRTC, opened at run time from the system or from a directory that the user names.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use libloading::Library;

use super::{Architecture, CompiledKernel, Compiler, KernelSource, OPTIONS};
use crate::error::CompileError;
use crate::library::{NVRTC_DIRECTORY_VARIABLE, below, system, system_places};

const FILE_NAMES: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];

type Program = *mut c_void;
type Status = c_int;

/// The entry points, copied out of the library that [`Nvrtc`] keeps open.
struct Entry {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status,
    supported_count: unsafe extern "C" fn(*mut c_int) -> Status,
    supported: unsafe extern "C" fn(*mut c_int) -> Status,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    log: unsafe extern "C" fn(Program, *mut c_char) -> Status,
}

/// The CUDA run-time compiler. It needs no card.
pub struct Nvrtc {
    entry: Entry,
    version: (i32, i32),
    architectures: Vec<i32>,
    // Keeps the entry points mapped; dropped last.
    _library: Library,
    _builtins: Option<Library>,
}

impl Nvrtc {
    /// Opens the compiler: from `directory` if given, else from the directory that
    /// [`NVRTC_DIRECTORY_VARIABLE`] names, else the system's.
    ///
    /// # Errors
    /// No library in the places looked at, or one that lacks what is called here.
    pub fn open(directory: Option<&Path>) -> Result<Nvrtc, CompileError> {
        let named = directory
            .map(Path::to_path_buf)
            .or_else(|| std::env::var_os(NVRTC_DIRECTORY_VARIABLE).map(Into::into));
        let candidates = match &named {
            Some(directory) => below(directory, &FILE_NAMES),
            None => system(&FILE_NAMES),
        };
        for path in &candidates {
            let builtins = open_builtins(Path::new(path));
            // SAFETY: libnvrtc's initialisers have no requirements.
            if let Ok(library) = unsafe { Library::new(path) } {
                return Nvrtc::from_library(library, builtins, path);
            }
        }
        let looked_for = match named {
            Some(directory) => vec![format!("libnvrtc.so below {}", directory.display())],
            None => system_places("libnvrtc.so"),
        };
        Err(CompileError::NoCompiler { looked_for })
    }

    fn from_library(library: Library, builtins: Option<Library>, path: &str) -> Result<Nvrtc, CompileError> {
        let entry = load_entry(&library, path)?;
        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: the pointers are to live integers.
        unsafe {
            check("nvrtcVersion", (entry.version)(&mut major, &mut minor))?;
            check("nvrtcGetNumSupportedArchs", (entry.supported_count)(&mut count))?;
        }
        let mut architectures = vec![0; count.max(0) as usize];
        // SAFETY: the vector has the length that the library asked for.
        check("nvrtcGetSupportedArchs", unsafe { (entry.supported)(architectures.as_mut_ptr()) })?;
        Ok(Nvrtc { entry, version: (major, minor), architectures, _library: library, _builtins: builtins })
    }

    /// Major and minor version of the toolkit it belongs to.
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    fn supports(&self, architecture: &Architecture) -> bool {
        let digits = architecture.name().trim_start_matches("sm_").trim_end_matches('a');
        digits.parse().is_ok_and(|number: i32| self.architectures.contains(&number))
    }

    fn create(&self, source: &KernelSource) -> Result<OwnedProgram<'_>, CompileError> {
        let text = c_string(source.text);
        let name = c_string(source.name);
        let header_texts: Vec<_> = source.headers.iter().map(|(_, text)| c_string(text)).collect();
        let header_names: Vec<_> = source.headers.iter().map(|(name, _)| c_string(name)).collect();
        let (texts, names) = (pointers(&header_texts), pointers(&header_names));
        let mut program = ptr::null_mut();
        // SAFETY: all strings end in NUL and outlive the call, which copies them.
        let status = unsafe {
            (self.entry.create)(
                &mut program,
                text.as_ptr(),
                name.as_ptr(),
                texts.len() as c_int,
                texts.as_ptr(),
                names.as_ptr(),
            )
        };
        check("nvrtcCreateProgram", status)?;
        Ok(OwnedProgram { entry: &self.entry, program })
    }
}

impl Compiler for Nvrtc {
    fn identity(&self) -> String {
        format!("nvrtc {}.{}", self.version.0, self.version.1)
    }

    fn compile(
        &self,
        source: &KernelSource,
        architecture: &Architecture,
    ) -> Result<CompiledKernel, CompileError> {
        if !self.supports(architecture) {
            let (major, minor) = self.version;
            return Err(CompileError::Architecture { architecture: architecture.to_string(), major, minor });
        }
        let program = self.create(source)?;
        let options: Vec<_> = OPTIONS
            .iter()
            .map(|option| c_string(option))
            .chain([c_string(&format!("--gpu-architecture={architecture}"))])
            .collect();
        let options = (pointers(&options), options);
        // SAFETY: the program is live, and the options outlive the call.
        let status =
            unsafe { (self.entry.compile)(program.program, options.0.len() as c_int, options.0.as_ptr()) };
        let log = program.log()?;
        if status != 0 {
            return Err(CompileError::Rejected {
                kernel: source.name.to_owned(),
                architecture: architecture.to_string(),
                log,
            });
        }
        Ok(CompiledKernel { cubin: program.cubin()?, log })
    }
}

/// A program that is destroyed on every way out.
struct OwnedProgram<'a> {
    entry: &'a Entry,
    program: Program,
}

impl OwnedProgram<'_> {
    fn log(&self) -> Result<String, CompileError> {
        let bytes = self.bytes("nvrtcGetProgramLog", self.entry.log_size, self.entry.log)?;
        Ok(CStr::from_bytes_until_nul(&bytes)
            .map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned()))
    }

    fn cubin(&self) -> Result<Vec<u8>, CompileError> {
        self.bytes("nvrtcGetCUBIN", self.entry.cubin_size, self.entry.cubin)
    }

    fn bytes(
        &self,
        call: &'static str,
        size: unsafe extern "C" fn(Program, *mut usize) -> Status,
        read: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    ) -> Result<Vec<u8>, CompileError> {
        let mut length = 0;
        // SAFETY: the program is live.
        check(call, unsafe { size(self.program, &mut length) })?;
        let mut bytes = vec![0_u8; length];
        // SAFETY: the buffer has the length that the library asked for.
        check(call, unsafe { read(self.program, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

impl Drop for OwnedProgram<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `create`, destroyed once. A failure here leaves nothing to do.
        let _ = unsafe { (self.entry.destroy)(&mut self.program) };
    }
}

/// NVRTC opens its builtins by name only when it first compiles, and looks only where the system does. Where
/// they lie beside it, opening them first makes the name known.
fn open_builtins(nvrtc: &Path) -> Option<Library> {
    let beside = std::fs::read_dir(nvrtc.parent()?).ok()?;
    let path = beside.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc-builtins.so."))
    })?;
    // SAFETY: the library holds data and no initialisers.
    unsafe { Library::new(path) }.ok()
}

fn load_entry(library: &Library, path: &str) -> Result<Entry, CompileError> {
    /// # Safety
    /// `F` must be the type of the function that `symbol` names.
    unsafe fn find<F: Copy>(library: &Library, path: &str, symbol: &'static str) -> Result<F, CompileError> {
        // SAFETY: the caller vouches for the type.
        unsafe { library.get::<F>(symbol) }
            .map(|found| *found)
            .map_err(|_| CompileError::OldCompiler { path: path.to_owned(), symbol })
    }
    // SAFETY: the signatures are those of nvrtc.h, unchanged since toolkit 11.2.
    unsafe {
        Ok(Entry {
            version: find(library, path, "nvrtcVersion")?,
            supported_count: find(library, path, "nvrtcGetNumSupportedArchs")?,
            supported: find(library, path, "nvrtcGetSupportedArchs")?,
            create: find(library, path, "nvrtcCreateProgram")?,
            destroy: find(library, path, "nvrtcDestroyProgram")?,
            compile: find(library, path, "nvrtcCompileProgram")?,
            cubin_size: find(library, path, "nvrtcGetCUBINSize")?,
            cubin: find(library, path, "nvrtcGetCUBIN")?,
            log_size: find(library, path, "nvrtcGetProgramLogSize")?,
            log: find(library, path, "nvrtcGetProgramLog")?,
        })
    }
}

fn check(call: &'static str, status: Status) -> Result<(), CompileError> {
    if status == 0 { Ok(()) } else { Err(CompileError::Compiler { call, status }) }
}

/// Kernel sources are part of this crate and hold no NUL; one that did would end there and not compile.
fn c_string(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).collect()
}
