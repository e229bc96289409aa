//! Which engine is chosen, and what is said about it.

use std::path::Path;
use std::sync::Arc;

use attentionstore_uring::{
    EngineChoice, EngineKind, EngineOptions, IoLevel, OpenedEngine, Region, open_engine,
};
use rustix::io::Errno;

use crate::harness::Memory;

fn open(directory: &Path, region_bytes: usize, choice: EngineChoice) -> OpenedEngine {
    let regions = [Memory::new(region_bytes) as Arc<dyn Region>];
    open_engine(directory, &regions, EngineOptions::default(), choice).unwrap()
}

#[test]
fn the_best_level_has_no_reason_and_every_other_one_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let level = open(directory.path(), 1 << 20, EngineChoice::Auto).level;
    println!("{level}");
    let best = level.engine == EngineKind::UringRegistered && level.direct;
    assert_eq!(level.reason.is_none(), best, "{level}");
}

#[test]
fn the_trial_leaves_no_file_and_no_trace_in_the_region() {
    let directory = tempfile::tempdir().unwrap();
    let memory = Memory::new(1 << 20);
    let regions = [memory.clone() as Arc<dyn Region>];
    open_engine(directory.path(), &regions, EngineOptions::default(), EngineChoice::Auto).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    // SAFETY: the engine is gone.
    let bytes = unsafe { std::slice::from_raw_parts(memory.base().as_ptr(), memory.len()) };
    assert!(bytes.iter().all(|&byte| byte == 0));
}

#[test]
fn a_file_system_without_o_direct_is_used_buffered_and_that_is_said() {
    // procfs and sysfs cannot be written; ramfs-like mounts need rights. /dev/shm is tmpfs, which refuses
    // O_DIRECT up to Linux 6.5.
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let IoLevel { direct, reason, .. } = open(directory.path(), 1 << 20, EngineChoice::Auto).level;
    assert_eq!(direct, !reason.unwrap_or_default().contains("O_DIRECT is refused"));
}

#[test]
fn a_directory_that_is_not_there_is_an_error_and_no_fallback() {
    let error = open_engine(Path::new("/does/not/exist"), &[], EngineOptions::default(), EngineChoice::Auto);
    assert_eq!(error.err().and_then(|error| error.errno()), Some(Errno::NOENT));
}

#[test]
fn memory_that_may_not_be_locked_is_used_unregistered_with_advice() {
    // Only there is the limit known; the parent asserts that this ran.
    if !crate::unprivileged::is_child() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let level = open(directory.path(), 128 << 20, EngineChoice::Auto).level;
    println!("fell back: {level}");
    assert_ne!(level.engine, EngineKind::UringRegistered);
    let reason = level.reason.unwrap();
    if level.engine == EngineKind::Pool {
        assert!(reason.contains("io_uring"), "{reason}");
        return;
    }
    for advice in ["131072 KiB", "ulimit -l", "LimitMEMLOCK=", "--ulimit memlock"] {
        assert!(reason.contains(advice), "{reason}");
    }
}
