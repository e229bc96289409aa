//! What every engine must do. Each case starts engines of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use attentionstore_uring::{
    AlignedBuffer, Completion, Direct, EngineOptions, IO_ALIGNMENT, IoBuffer, IoError, IoFile, Operation,
    Panics, Request, wait,
};
use crossbeam_channel::unbounded;
use rustix::io::Errno;

use crate::harness::{Bench, REGION_PAGES, Random, owned, pattern, read, sync, write};

const PAGE: u64 = IO_ALIGNMENT as u64;
const BOTH: [Direct; 2] = [Direct::Try, Direct::Never];

pub fn what_was_written_is_read_back(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    for direct in BOTH {
        let file = bench.file(direct);
        let (first, second) = (pattern(1, 3), pattern(2, 2));
        write(&*engine, &file, 5 * PAGE, &first).result.unwrap();
        bench.bytes(7, 2).copy_from_slice(&second);
        wait(&*engine, |done| Request::write(file.clone(), 0, bench.range(7, 2), done)).result.unwrap();

        wait(&*engine, |done| Request::read(file.clone(), 5 * PAGE, bench.range(20, 3), done))
            .result
            .unwrap();
        assert_eq!(bench.bytes(20, 3), first);
        assert_eq!(&*owned(read(&*engine, &file, 0, second.len())), second);
        assert_eq!(&*owned(read(&*engine, &file, 3 * PAGE, IO_ALIGNMENT)), [0; IO_ALIGNMENT]);
    }
}

pub fn the_same_buffer_comes_back_with_the_completion(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let file = bench.file(Direct::Try);
    let buffer = AlignedBuffer::copy_of(&pattern(1, 1)).unwrap();
    let address = buffer.as_ptr();
    let written = wait(&*engine, |done| Request::write(file.clone(), 0, buffer, done));
    let buffer = owned(written);
    assert_eq!(buffer.as_ptr(), address);
    let read = wait(&*engine, |done| Request::read(file.clone(), 0, buffer, done));
    assert_eq!(owned(read).as_ptr(), address);
    let range = bench.range(3, 2);
    let address = range.pointer();
    let written = wait(&*engine, |done| Request::write(file.clone(), 0, range, done));
    assert!(matches!(written.buffer, Some(IoBuffer::Region(range)) if range.pointer() == address));
    assert!(sync(&*engine, &file).buffer.is_none());
}

pub fn transfers_longer_than_one_call_are_continued(bench: &Bench) {
    let engine = bench.start(EngineOptions { max_transfer: 2 * IO_ALIGNMENT, ..EngineOptions::default() });
    for direct in BOTH {
        let file = bench.file(direct);
        let bytes = pattern(3, 15);
        write(&*engine, &file, PAGE, &bytes).result.unwrap();
        assert_eq!(&*owned(read(&*engine, &file, PAGE, bytes.len())), bytes);
        wait(&*engine, |done| Request::read(file.clone(), PAGE, bench.range(1, 15), done)).result.unwrap();
        assert_eq!(bench.bytes(1, 15), bytes);
    }
}

pub fn a_read_past_the_end_of_the_file_is_an_error_that_says_how_far_it_came(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    for direct in BOTH {
        let file = bench.file(direct);
        let bytes = pattern(4, 3);
        write(&*engine, &file, 0, &bytes).result.unwrap();
        let completion = read(&*engine, &file, PAGE, 4 * IO_ALIGNMENT);
        match completion.result {
            Err(IoError::UnexpectedEnd { operation: Operation::Read, offset, expected, got, .. }) => {
                assert_eq!((offset, expected, got), (3 * PAGE, 4 * IO_ALIGNMENT, 2 * IO_ALIGNMENT));
            }
            other => panic!("{other:?}"),
        }
        let buffer = completion.buffer.and_then(IoBuffer::into_owned).unwrap();
        assert_eq!(buffer[..2 * IO_ALIGNMENT], bytes[IO_ALIGNMENT..]);

        // A file that ends inside a page: a direct file cannot be continued there.
        file.file().set_len(2 * PAGE + 100).unwrap();
        let result = read(&*engine, &file, 0, 4 * IO_ALIGNMENT).result;
        assert!(matches!(result, Err(IoError::UnexpectedEnd { .. })), "{result:?}");
    }
}

pub fn an_error_of_the_system_reaches_the_one_who_waits(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let full = Arc::new(IoFile::open(Path::new("/dev/full"), Direct::Never).unwrap());
    let completion = write(&*engine, &full, 0, &pattern(5, 1));
    let error = completion.result.unwrap_err();
    assert_eq!(error.errno(), Some(Errno::NOSPC));
    assert!(matches!(&error, IoError::Os { operation: Operation::Write, path, .. } if path == full.path()));
    assert!(completion.buffer.is_some());
}

pub fn an_unaligned_request_to_a_direct_file_is_refused_and_changes_nothing(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let file = bench.file(Direct::Try);
    if !file.direct() {
        println!("skipped: the file system refuses O_DIRECT");
        return;
    }
    let bytes = pattern(6, 2);
    write(&*engine, &file, 0, &bytes).result.unwrap();
    for (offset, len) in [(1, IO_ALIGNMENT), (0, 100), (512, IO_ALIGNMENT)] {
        let result = write(&*engine, &file, offset, &vec![0; len]).result;
        assert!(matches!(result, Err(IoError::Invalid { .. })), "{result:?}");
        let result = read(&*engine, &file, offset, len).result;
        assert!(matches!(result, Err(IoError::Invalid { .. })), "{result:?}");
    }
    assert_eq!(&*owned(read(&*engine, &file, 0, bytes.len())), bytes);
}

/// Rounds of random reads and writes against a model of the file; within a round no two touch the same place.
pub fn many_requests_at_once_complete_once_each_with_the_right_bytes(bench: &Bench) {
    let seed = 0x5eed;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let engine = bench.start(EngineOptions { depth: 8, ..EngineOptions::default() });
    let file = bench.file(Direct::Try);
    write(&*engine, &file, 0, &vec![0; REGION_PAGES * IO_ALIGNMENT]).result.unwrap();
    let mut model: BTreeMap<usize, u64> = BTreeMap::new();
    for round in 0..20u64 {
        let (sender, receiver) = unbounded();
        let mut expected = BTreeMap::new();
        for page in 0..REGION_PAGES {
            let offset = page as u64 * PAGE;
            let sender = sender.clone();
            let done = move |completion: Completion| drop(sender.send((page, completion)));
            if random.below(2) == 0 {
                let content = round << 32 | page as u64;
                bench.bytes(page, 1).copy_from_slice(&pattern(content, 1));
                model.insert(page, content);
                engine.submit(Request::write(file.clone(), offset, bench.range(page, 1), done));
            } else {
                expected.insert(page, model.get(&page).copied());
                engine.submit(Request::read(file.clone(), offset, bench.range(page, 1), done));
            }
        }
        drop(sender);
        let mut seen: Vec<_> =
            receiver.iter().map(|(page, completion)| (page, completion.result.unwrap())).collect();
        seen.sort_by_key(|(page, ())| *page);
        assert!(seen.iter().map(|(page, ())| *page).eq(0..REGION_PAGES), "round {round}");
        for (page, content) in expected {
            let right = content.map_or(vec![0; IO_ALIGNMENT], |content| pattern(content, 1));
            assert_eq!(bench.bytes(page, 1), right, "round {round}, page {page}");
        }
    }
}

pub fn submitters_wait_for_room_in_a_short_queue(bench: &Bench) {
    let engine = bench.start(EngineOptions { depth: 2, queue: 1, ..EngineOptions::default() });
    let file = bench.file(Direct::Never);
    let (sender, receiver) = unbounded();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (engine, file, sender) = (&engine, &file, sender.clone());
            scope.spawn(move || {
                for index in 0..25 {
                    let (number, sender) = (thread * 25 + index, sender.clone());
                    let buffer = AlignedBuffer::copy_of(&pattern(number, 1)).unwrap();
                    let done = move |completion: Completion| drop(sender.send(completion.result));
                    engine.submit(Request::write(file.clone(), number * PAGE, buffer, done));
                }
            });
        }
    });
    drop(sender);
    assert_eq!(receiver.iter().map(Result::unwrap).count(), 100);
    for number in [0, 37, 99] {
        assert_eq!(&*owned(read(&*engine, &file, number * PAGE, IO_ALIGNMENT)), pattern(number, 1));
    }
}

pub fn a_sync_succeeds_with_and_without_writes_before_it(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    for direct in BOTH {
        let file = bench.file(direct);
        sync(&*engine, &file).result.unwrap();
        write(&*engine, &file, 0, &pattern(1, 1)).result.unwrap();
        sync(&*engine, &file).result.unwrap();
    }
    // A file that cannot be synced: the error comes back here too.
    let pipe = Arc::new(IoFile::open(Path::new("/dev/full"), Direct::Never).unwrap());
    assert_eq!(sync(&*engine, &pipe).result.unwrap_err().errno(), Some(Errno::INVAL));
}

pub fn closing_completes_what_was_accepted_and_refuses_what_comes_later(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let file = bench.file(Direct::Try);
    let (sender, receiver) = unbounded();
    for page in 0..40 {
        let sender = sender.clone();
        let done = move |completion: Completion| drop(sender.send(completion.result));
        engine.submit(Request::write(
            file.clone(),
            page * PAGE,
            AlignedBuffer::zeroed(IO_ALIGNMENT).unwrap(),
            done,
        ));
    }
    engine.close();
    assert_eq!(receiver.try_iter().map(Result::unwrap).count(), 40);
    engine.close();
    for completion in [write(&*engine, &file, 0, &pattern(1, 1)), read(&*engine, &file, 0, 4096)] {
        assert!(matches!(completion.result, Err(IoError::Closed)));
        assert!(completion.buffer.is_some());
    }
    assert!(matches!(sync(&*engine, &file).result, Err(IoError::Closed)));
}

pub fn a_dropped_engine_completes_what_was_accepted(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let file = bench.file(Direct::Try);
    let (sender, receiver) = unbounded();
    for page in 0..40u64 {
        let sender = sender.clone();
        let buffer = AlignedBuffer::copy_of(&pattern(page, 1)).unwrap();
        let done = move |completion: Completion| drop(sender.send(completion.result));
        engine.submit(Request::write(file.clone(), page * PAGE, buffer, done));
    }
    drop((engine, sender));
    assert_eq!(receiver.iter().map(Result::unwrap).count(), 40);
    let written = std::fs::read(file.path()).unwrap();
    let right: Vec<u8> = (0..40).flat_map(|page| pattern(page, 1)).collect();
    assert!(written == right);
}

pub fn closing_from_a_callback_does_not_hang(bench: &Bench) {
    let engine = bench.start(EngineOptions::default());
    let file = bench.file(Direct::Never);
    let (sender, receiver) = unbounded();
    let inside = engine.clone();
    let done = move |completion: Completion| {
        inside.close();
        drop(inside);
        let _ = sender.send(completion.result);
    };
    engine.submit(Request::write(file.clone(), 0, AlignedBuffer::zeroed(IO_ALIGNMENT).unwrap(), done));
    receiver.recv().unwrap().unwrap();
    engine.close();
}

pub fn a_panic_in_a_callback_is_told_and_leaves_the_engine_running(bench: &Bench) {
    let (sender, told) = unbounded();
    let panics = Panics::told_to(move |_, message| sender.send(message.to_owned()).unwrap());
    let engine = bench.start(EngineOptions { depth: 1, panics, ..EngineOptions::default() });
    let file = bench.file(Direct::Never);
    for _ in 0..3 {
        let buffer = AlignedBuffer::zeroed(IO_ALIGNMENT).unwrap();
        // Not through the panic hook, which would clutter the test's output.
        let done = |_: Completion| std::panic::resume_unwind(Box::new("the callback's own affair"));
        engine.submit(Request::write(file.clone(), 0, buffer, done));
    }
    write(&*engine, &file, 0, &pattern(1, 1)).result.unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["the callback's own affair"; 3]);
}
