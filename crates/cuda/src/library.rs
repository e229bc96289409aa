//! Where libraries of the toolkit are looked for: a directory that the user names, then the system's.

use std::path::Path;

use libloading::Library;

/// Environment variable that names a directory holding libnvrtc (and libcublasLt): a toolkit, or unpacked wheels.
pub const NVRTC_DIRECTORY_VARIABLE: &str = "ATTENTIONSTORE_NVRTC_DIR";

/// Where wheels and toolkits put libraries below their root.
const SUBDIRECTORIES: [&str; 7] =
    ["", "lib", "lib64", "cu13/lib", "nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "nvidia/cublas/lib"];
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/local/cuda", "/usr"];

/// Paths of any of `names` below `root`.
pub(crate) fn below(root: &Path, names: &[&str]) -> Vec<String> {
    SUBDIRECTORIES
        .iter()
        .flat_map(|sub| names.iter().map(move |name| root.join(sub).join(name)))
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

/// Where the system may have any of `names`: its own search first.
pub(crate) fn system(names: &[&str]) -> Vec<String> {
    let by_name = names.iter().map(|name| (*name).to_owned());
    by_name.chain(SYSTEM_DIRECTORIES.iter().flat_map(|root| below(Path::new(root), names))).collect()
}

/// Where [`system`] looks, in words.
pub(crate) fn system_places(name: &str) -> Vec<String> {
    let roots = SYSTEM_DIRECTORIES.iter().map(|root| format!("below {root}"));
    std::iter::once(format!("{name} where the system has its libraries")).chain(roots).collect()
}

/// The first of `candidates` that opens, with its path.
pub(crate) fn open_first(candidates: &[String]) -> Option<(Library, String)> {
    candidates.iter().find_map(|path| {
        // SAFETY: the toolkit's libraries have no requirements of who opens them.
        unsafe { Library::new(path) }.ok().map(|library| (library, path.clone()))
    })
}
