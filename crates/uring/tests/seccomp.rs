//! io_uring behind a real seccomp filter, as containers set one: it is the kernel that refuses, not the test. A filter is
//! for one thread and those that it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use attentionstore_uring::{
    AlignedBuffer, Direct, EngineChoice, EngineKind, EngineOptions, IoBuffer, IoError, IoFile, IoLevel,
    Request, open_engine, wait,
};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// The number of io_uring_setup, the same on all architectures that `seccompiler` knows.
const IO_URING_SETUP: i64 = 425;

/// Runs `body` on a thread whose calls of io_uring_setup the kernel answers with `errno`.
fn behind_filter<T: Send>(errno: Errno, body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let filter = SeccompFilter::new(
                BTreeMap::from([(IO_URING_SETUP, Vec::new())]),
                SeccompAction::Allow,
                SeccompAction::Errno(errno.raw_os_error() as u32),
                std::env::consts::ARCH.try_into().unwrap(),
            );
            apply_filter(&BpfProgram::try_from(filter.unwrap()).unwrap()).unwrap();
            body()
        });
        thread.join().unwrap()
    })
}

/// Opens the best engine and does with it what a disk tier does; the level that it runs on.
fn write_and_read_back() -> IoLevel {
    let directory = tempfile::tempdir().unwrap();
    let opened = open_engine(directory.path(), &[], EngineOptions::default(), EngineChoice::Auto).unwrap();
    let file = Arc::new(IoFile::open(&directory.path().join("file"), Direct::Try).unwrap());
    let bytes: Vec<u8> = (0..16_384u32).map(|at| (at * 7 % 251) as u8).collect();
    let source = AlignedBuffer::copy_of(&bytes).unwrap();
    wait(&*opened.engine, |done| Request::write(file.clone(), 4096, source, done)).result.unwrap();
    let target = AlignedBuffer::zeroed(bytes.len()).unwrap();
    let read = wait(&*opened.engine, |done| Request::read(file.clone(), 4096, target, done));
    read.result.unwrap();
    assert_eq!(read.buffer.and_then(IoBuffer::into_owned).unwrap()[..], bytes);
    opened.level
}

#[test]
fn where_a_container_forbids_io_uring_the_pool_does_its_work_and_says_why() {
    for (errno, remark) in [(Errno::PERM, "is forbidden here"), (Errno::NOSYS, "this kernel has no io_uring")]
    {
        let level = behind_filter(errno, write_and_read_back);
        assert_eq!(level.engine, EngineKind::Pool);
        let reason = level.reason.unwrap();
        assert_eq!(reason.matches(remark).count(), 1, "{reason}");
    }
}

#[test]
fn who_asked_for_io_uring_and_nothing_else_is_told_that_it_is_forbidden() {
    let directory = tempfile::tempdir().unwrap();
    let error = behind_filter(Errno::PERM, || {
        let choice = EngineChoice::Only(EngineKind::Uring);
        open_engine(directory.path(), &[], EngineOptions::default(), choice).err()
    });
    assert!(matches!(error, Some(IoError::Start { errno: Errno::PERM, .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
