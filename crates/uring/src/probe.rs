//! Which engine runs on this machine: found out by really doing I/O, best engine first.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::buffer::{AlignedBuffer, IO_ALIGNMENT, IoBuffer, Region, RegionRange};
use crate::error::IoError;
use crate::file::{Direct, IoFile};
use crate::pool::PoolEngine;
use crate::request::{Engine, EngineOptions, Request, wait};
use crate::ring::RingEngine;

/// The engines, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// io_uring with the arena registered: no page is pinned or looked up per request.
    UringRegistered,
    /// io_uring with ordinary buffers.
    Uring,
    /// Threads with `pread` and `pwrite`.
    Pool,
}

impl EngineKind {
    /// A stable name, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::UringRegistered => "io_uring_registered",
            EngineKind::Uring => "io_uring",
            EngineKind::Pool => "pread_pool",
        }
    }
}

/// Which engines may be tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The best that works.
    #[default]
    Auto,
    /// This one or an error.
    Only(EngineKind),
}

/// What runs, and why nothing better does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoLevel {
    pub engine: EngineKind,
    /// Whether `O_DIRECT` works in the directory.
    pub direct: bool,
    /// Why a better engine or `O_DIRECT` is not used, and what to do about it. `None` at the best level.
    pub reason: Option<String>,
}

impl std::fmt::Display for IoLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.engine.name(), if self.direct { "O_DIRECT" } else { "buffered" })?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// A running engine and its level.
pub struct OpenedEngine {
    pub engine: Arc<dyn Engine>,
    pub level: IoLevel,
}

/// Starts the best engine that `choice` allows and that passes a trial in `directory` (a page written, made
/// durable and read back through a file that is removed again). `regions` are the memory that most requests
/// will use; while this runs nobody writes to their first pages.
///
/// # Errors
/// The last engine's error if none works; at once for errors that no other engine would avoid, such as a
/// directory that cannot be written, or a region that is not memory (EFAULT).
pub fn open_engine(
    directory: &Path,
    regions: &[Arc<dyn Region>],
    options: EngineOptions,
    choice: EngineChoice,
) -> Result<OpenedEngine, IoError> {
    let kinds: &[EngineKind] = match choice {
        EngineChoice::Auto if regions.is_empty() => &[EngineKind::Uring, EngineKind::Pool],
        EngineChoice::Auto => &[EngineKind::UringRegistered, EngineKind::Uring, EngineKind::Pool],
        EngineChoice::Only(kind) => &[kind],
    };
    choose(kinds, regions, |kind| {
        let engine = start(kind, regions, options.clone())?;
        let direct = try_out(&*engine, directory, regions)?;
        Ok((engine, direct))
    })
}

/// The first of `kinds` that `attempt` can start, with the reasons against the ones before.
fn choose(
    kinds: &[EngineKind],
    regions: &[Arc<dyn Region>],
    mut attempt: impl FnMut(EngineKind) -> Result<(Arc<dyn Engine>, bool), IoError>,
) -> Result<OpenedEngine, IoError> {
    let mut reasons: Vec<String> = Vec::new();
    let mut last = IoError::Closed;
    for &kind in kinds {
        match attempt(kind) {
            Ok((engine, direct)) => {
                if !direct {
                    reasons.push("O_DIRECT is refused by the file system: buffered I/O is used".to_owned());
                }
                let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
                return Ok(OpenedEngine { engine, level: IoLevel { engine: kind, direct, reason } });
            }
            Err(error) if kind != EngineKind::Pool && falls_back(&error) => {
                // Without permission for io_uring the second try fails like the first: one remark is enough.
                let reason = explain(&error, regions);
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                last = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn start(
    kind: EngineKind,
    regions: &[Arc<dyn Region>],
    options: EngineOptions,
) -> Result<Arc<dyn Engine>, IoError> {
    Ok(match kind {
        EngineKind::UringRegistered => Arc::new(RingEngine::start(options, regions.to_vec())?),
        EngineKind::Uring => Arc::new(RingEngine::start(options, Vec::new())?),
        EngineKind::Pool => Arc::new(PoolEngine::start(options)?),
    })
}

/// Whether a simpler engine may do better. EINVAL and EOPNOTSUPP come from kernels too old for an operation.
fn falls_back(error: &IoError) -> bool {
    matches!(
        error.errno(),
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS | Errno::NOMEM | Errno::INVAL | Errno::OPNOTSUPP)
    )
}

fn explain(error: &IoError, regions: &[Arc<dyn Region>]) -> String {
    let advice = match error.errno() {
        Some(Errno::NOMEM) => {
            let wanted: usize = regions.iter().map(|region| region.len()).sum();
            let allowed = getrlimit(Resource::Memlock).current;
            let allowed =
                allowed.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{} KiB", bytes >> 10));
            format!(
                ": {} KiB have to be locked and the limit is {allowed}; raise `ulimit -l`, with systemd set \
                 `LimitMEMLOCK=infinity`, with Docker `--ulimit memlock=-1`",
                wanted >> 10
            )
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            ": io_uring is forbidden here (`kernel.io_uring_disabled`, or the seccomp profile of a container)"
                .to_owned()
        }
        Some(Errno::NOSYS) => ": this kernel has no io_uring".to_owned(),
        _ => String::new(),
    };
    format!("{error}{advice}")
}

/// Writes, syncs and reads back a page. True if that works with `O_DIRECT`.
fn try_out(engine: &dyn Engine, directory: &Path, regions: &[Arc<dyn Region>]) -> Result<bool, IoError> {
    let path = directory.join(format!(".io-trial-{}", std::process::id()));
    let outcome = match try_file(engine, &path, Direct::Try, regions) {
        Err(error) if error.errno() == Some(Errno::INVAL) => try_file(engine, &path, Direct::Never, regions),
        outcome => outcome,
    };
    // A file left behind would be overwritten by the next trial.
    let _ = std::fs::remove_file(&path);
    outcome
}

fn try_file(
    engine: &dyn Engine,
    path: &Path,
    direct: Direct,
    regions: &[Arc<dyn Region>],
) -> Result<bool, IoError> {
    let file = IoFile::open(path, direct).map_err(|error| IoError::Start {
        what: "trial file of the disk I/O engine",
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    let file = Arc::new(file);
    // From the region's own memory, so that a registered buffer is tried as well; its bytes stay as they are.
    let source: IoBuffer = match regions.iter().find(|region| region.len() >= IO_ALIGNMENT) {
        // SAFETY: the caller of `open_engine` promises that nobody writes to these bytes meanwhile.
        Some(region) => unsafe { RegionRange::new(region.clone(), 0, IO_ALIGNMENT)? }.into(),
        None => AlignedBuffer::copy_of(&[0x5a; IO_ALIGNMENT])?.into(),
    };
    let written = wait(engine, |done| Request::write(file.clone(), 0, source, done));
    written.result?;
    wait(engine, |done| Request::sync(file.clone(), done)).result?;
    let target = AlignedBuffer::zeroed(IO_ALIGNMENT)?;
    let read = wait(engine, |done| Request::read(file.clone(), 0, target, done));
    read.result?;
    match (&written.buffer, &read.buffer) {
        (Some(source), Some(target)) if source.bytes() == target.bytes() => Ok(file.direct()),
        _ => Err(IoError::Invalid {
            what: "trial of the disk I/O engine",
            detail: format!("{} read back other bytes than were written", path.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [EngineKind; 3] = [EngineKind::UringRegistered, EngineKind::Uring, EngineKind::Pool];

    /// Engines that fail to start with these errors, one after another; later ones start.
    fn choose_after(errors: &[Errno], direct: bool) -> Result<IoLevel, IoError> {
        let mut errors = errors.iter();
        let attempt = |_| match errors.next() {
            Some(&errno) => Err(IoError::Start { what: "io_uring", errno }),
            None => Ok((start(EngineKind::Pool, &[], EngineOptions::default())?, direct)),
        };
        choose(&ALL, &[], attempt).map(|opened| opened.level)
    }

    #[test]
    fn where_io_uring_is_forbidden_or_missing_the_pool_runs_and_one_remark_says_why() {
        for (errno, remark) in
            [(Errno::PERM, "is forbidden here"), (Errno::NOSYS, "this kernel has no io_uring")]
        {
            let level = choose_after(&[errno, errno], true).unwrap();
            assert_eq!((level.engine, level.direct), (EngineKind::Pool, true));
            let reason = level.reason.unwrap();
            assert_eq!(reason.matches(remark).count(), 1, "{reason}");
        }
    }

    #[test]
    fn without_locked_memory_io_uring_runs_unregistered() {
        let level = choose_after(&[Errno::NOMEM], true).unwrap();
        assert_eq!(level.engine, EngineKind::Uring);
        assert!(level.reason.unwrap().contains("ulimit -l"));
    }

    #[test]
    fn an_error_that_no_other_engine_avoids_is_not_hidden_by_a_fallback() {
        for errno in [Errno::FAULT, Errno::NOENT, Errno::NOSPC, Errno::MFILE] {
            assert_eq!(choose_after(&[errno], true).unwrap_err().errno(), Some(errno));
        }
        assert!(choose_after(&[Errno::NOSYS, Errno::NOSYS, Errno::NOSYS], true).is_err());
    }

    #[test]
    fn buffered_io_is_said_also_beside_another_reason() {
        assert_eq!(choose_after(&[], true).unwrap().reason, None);
        assert!(
            choose_after(&[], false)
                .unwrap()
                .to_string()
                .contains("io_uring_registered, buffered (O_DIRECT is")
        );
        let reason = choose_after(&[Errno::NOMEM], false).unwrap().reason.unwrap();
        assert!(reason.contains("ulimit -l") && reason.contains("O_DIRECT is refused"), "{reason}");
    }
}
