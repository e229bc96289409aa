//! An engine with nothing to do uses no processor time. A file of its own: it looks at this process's threads.

use std::sync::Arc;

use attentionstore_uring::{
    AlignedBuffer, Direct, EngineChoice, EngineKind, EngineOptions, IoFile, Request, open_engine, wait,
};

/// Looks before it gives up; a thread that is about to sleep does so after very few.
const LOOKS: usize = 200_000;

/// States (`S` is asleep) of the threads of this process whose names begin with `prefix`.
fn states(prefix: &str) -> Vec<char> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats
        .filter_map(|stat| {
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
            name.starts_with(prefix).then(|| rest.chars().next()).flatten()
        })
        .collect()
}

#[test]
fn idle_engines_sleep() {
    let directory = tempfile::tempdir().unwrap();
    let options = EngineOptions { depth: 4, ..EngineOptions::default() };
    for (kind, prefix, threads) in [(EngineKind::Pool, "disk-", 4), (EngineKind::Uring, "io-uring", 1)] {
        let engine = match open_engine(directory.path(), &[], options.clone(), EngineChoice::Only(kind)) {
            Ok(opened) => opened.engine,
            Err(error) => return println!("skipped: {} does not run here: {error}", kind.name()),
        };
        let file = Arc::new(IoFile::open(&directory.path().join("file"), Direct::Try).unwrap());
        let buffer = AlignedBuffer::zeroed(4096).unwrap();
        wait(&*engine, |done| Request::write(file.clone(), 0, buffer, done)).result.unwrap();
        let asleep = (0..LOOKS).any(|_| {
            std::thread::yield_now();
            let states = states(prefix);
            states.len() == threads && states.iter().all(|&state| state == 'S')
        });
        assert!(asleep, "{}: {:?}", kind.name(), states(prefix));
    }
}
