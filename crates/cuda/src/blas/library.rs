//! cuBLASLt's entry points, from the system or from the directory that the user names for the toolkit.

use std::ffi::{c_int, c_void};
use std::path::Path;

use cudarc::cublaslt::sys;
use libloading::Library;

use crate::error::BlasError;
use crate::library::{NVRTC_DIRECTORY_VARIABLE, below, open_first, system, system_places};

const FILE_NAMES: [&str; 3] = ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"];

type Status = sys::cublasStatus_t;
type SetAttribute<T, A> = unsafe extern "C" fn(T, A, *const c_void, usize) -> Status;
type Heuristic = unsafe extern "C" fn(
    sys::cublasLtHandle_t,
    sys::cublasLtMatmulDesc_t,
    sys::cublasLtMatrixLayout_t,
    sys::cublasLtMatrixLayout_t,
    sys::cublasLtMatrixLayout_t,
    sys::cublasLtMatrixLayout_t,
    sys::cublasLtMatmulPreference_t,
    c_int,
    *mut sys::cublasLtMatmulHeuristicResult_t,
    *mut c_int,
) -> Status;
type Matmul = unsafe extern "C" fn(
    sys::cublasLtHandle_t,
    sys::cublasLtMatmulDesc_t,
    *const c_void,
    *const c_void,
    sys::cublasLtMatrixLayout_t,
    *const c_void,
    sys::cublasLtMatrixLayout_t,
    *const c_void,
    *const c_void,
    sys::cublasLtMatrixLayout_t,
    *mut c_void,
    sys::cublasLtMatrixLayout_t,
    *const sys::cublasLtMatmulAlgo_t,
    *mut c_void,
    usize,
    sys::cudaStream_t,
) -> Status;

/// The functions that are called, copied out of the library that this keeps open.
pub(super) struct Entry {
    pub version: unsafe extern "C" fn() -> usize,
    pub create: unsafe extern "C" fn(*mut sys::cublasLtHandle_t) -> Status,
    pub destroy: unsafe extern "C" fn(sys::cublasLtHandle_t) -> Status,
    pub create_product: unsafe extern "C" fn(
        *mut sys::cublasLtMatmulDesc_t,
        sys::cublasComputeType_t,
        sys::cudaDataType_t,
    ) -> Status,
    pub destroy_product: unsafe extern "C" fn(sys::cublasLtMatmulDesc_t) -> Status,
    pub set_product: SetAttribute<sys::cublasLtMatmulDesc_t, sys::cublasLtMatmulDescAttributes_t>,
    pub create_layout:
        unsafe extern "C" fn(*mut sys::cublasLtMatrixLayout_t, sys::cudaDataType_t, u64, u64, i64) -> Status,
    pub destroy_layout: unsafe extern "C" fn(sys::cublasLtMatrixLayout_t) -> Status,
    pub create_preference: unsafe extern "C" fn(*mut sys::cublasLtMatmulPreference_t) -> Status,
    pub destroy_preference: unsafe extern "C" fn(sys::cublasLtMatmulPreference_t) -> Status,
    pub set_preference:
        SetAttribute<sys::cublasLtMatmulPreference_t, sys::cublasLtMatmulPreferenceAttributes_t>,
    pub heuristic: Heuristic,
    pub matmul: Matmul,
    _library: Library,
}

impl Entry {
    /// Opens the library.
    ///
    /// # Errors
    /// None in the places looked at, or one that lacks what is called here.
    pub(super) fn open() -> Result<Entry, BlasError> {
        let named = std::env::var_os(NVRTC_DIRECTORY_VARIABLE);
        let in_named = named.iter().flat_map(|directory| below(Path::new(directory), &FILE_NAMES));
        let candidates: Vec<String> = in_named.chain(system(&FILE_NAMES)).collect();
        let Some((library, path)) = open_first(&candidates) else {
            return Err(BlasError::NoLibrary { looked_for: system_places("libcublasLt.so") });
        };
        Entry::load(library, &path)
    }

    fn load(library: Library, path: &str) -> Result<Entry, BlasError> {
        /// # Safety
        /// `F` must be the type of the function that `symbol` names.
        unsafe fn find<F: Copy>(library: &Library, path: &str, symbol: &'static str) -> Result<F, BlasError> {
            // SAFETY: the caller vouches for the type.
            unsafe { library.get::<F>(symbol) }
                .map(|found| *found)
                .map_err(|_| BlasError::OldLibrary { path: path.to_owned(), symbol })
        }
        // SAFETY: the signatures are those of cublasLt.h, unchanged since toolkit 11.
        unsafe {
            Ok(Entry {
                version: find(&library, path, "cublasLtGetVersion")?,
                create: find(&library, path, "cublasLtCreate")?,
                destroy: find(&library, path, "cublasLtDestroy")?,
                create_product: find(&library, path, "cublasLtMatmulDescCreate")?,
                destroy_product: find(&library, path, "cublasLtMatmulDescDestroy")?,
                set_product: find(&library, path, "cublasLtMatmulDescSetAttribute")?,
                create_layout: find(&library, path, "cublasLtMatrixLayoutCreate")?,
                destroy_layout: find(&library, path, "cublasLtMatrixLayoutDestroy")?,
                create_preference: find(&library, path, "cublasLtMatmulPreferenceCreate")?,
                destroy_preference: find(&library, path, "cublasLtMatmulPreferenceDestroy")?,
                set_preference: find(&library, path, "cublasLtMatmulPreferenceSetAttribute")?,
                heuristic: find(&library, path, "cublasLtMatmulAlgoGetHeuristic")?,
                matmul: find(&library, path, "cublasLtMatmul")?,
                _library: library,
            })
        }
    }
}

/// Names what was asked of the library when it refuses.
pub(super) fn check(call: &'static str, status: Status) -> Result<(), BlasError> {
    if status == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS {
        return Ok(());
    }
    Err(BlasError::Refused { call, status: status as u32 })
}
