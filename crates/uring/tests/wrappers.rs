//! What the wrappers do to requests: measuring, limiting, and failing on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attentionstore_uring::fault::{Fault, FaultEngine};
use attentionstore_uring::{
    AlignedBuffer, Clock, Completion, Direct, Engine, EngineOptions, IoError, IoFile, Limited, Measured,
    Operation, Panics, PoolEngine, RateLimits, Request, wait,
};
use crossbeam_channel::{Receiver, unbounded};
use rustix::io::Errno;
use tempfile::NamedTempFile;

const PAGE: usize = 4096;

struct Disk {
    engine: Arc<FaultEngine>,
    file: Arc<IoFile>,
    _path: NamedTempFile,
}

impl Disk {
    fn new() -> Self {
        let path = NamedTempFile::new().unwrap();
        let file = Arc::new(IoFile::open(path.path(), Direct::Try).unwrap());
        let engine = FaultEngine::new(Arc::new(PoolEngine::start(EngineOptions::default()).unwrap()));
        Self { engine, file, _path: path }
    }

    fn write(&self, byte: u8, len: usize) -> Completion {
        let buffer = AlignedBuffer::copy_of(&vec![byte; len]).unwrap();
        wait(&*self.engine, |done| Request::write(self.file.clone(), 0, buffer, done))
    }

    fn read(&self, len: usize) -> Completion {
        let buffer = AlignedBuffer::zeroed(len).unwrap();
        wait(&*self.engine, |done| Request::read(self.file.clone(), 0, buffer, done))
    }

    fn sync(&self) -> Completion {
        wait(&*self.engine, |done| Request::sync(self.file.clone(), done))
    }

    fn contents(&self) -> Vec<u8> {
        std::fs::read(self.file.path()).unwrap()
    }
}

fn bytes(completion: Completion) -> AlignedBuffer {
    completion.buffer.unwrap().into_owned().unwrap()
}

#[test]
fn an_injected_error_hits_the_next_request_of_its_kind_only() {
    let disk = Disk::new();
    disk.engine.pass(Operation::Write);
    disk.engine.inject(Operation::Write, Fault::Fail(Errno::IO));
    disk.engine.inject(Operation::Sync, Fault::Fail(Errno::IO));
    disk.write(1, PAGE).result.unwrap();
    assert_eq!(disk.write(2, PAGE).result.unwrap_err().errno(), Some(Errno::IO));
    assert_eq!(disk.sync().result.unwrap_err().errno(), Some(Errno::IO));
    assert_eq!(disk.contents(), [1; PAGE]);
    disk.write(3, PAGE).result.unwrap();
    disk.sync().result.unwrap();
    assert_eq!(disk.contents(), [3; PAGE]);
}

#[test]
fn a_flipped_bit_is_in_what_is_read_or_on_the_disk_and_reported_by_nobody() {
    let disk = Disk::new();
    disk.engine.inject(Operation::Write, Fault::FlipBit { bit: 8 * 5 + 1 });
    let written = disk.write(0, PAGE);
    assert!(written.result.is_ok());
    assert_eq!(bytes(written)[5], 0);
    assert_eq!(disk.contents()[4..7], [0, 2, 0]);
    disk.engine.inject(Operation::Read, Fault::FlipBit { bit: 8 * 5 + 1 });
    let read = disk.read(PAGE);
    assert!(read.result.is_ok());
    assert_eq!(bytes(read)[5], 0);
    assert_eq!(bytes(disk.read(PAGE))[5], 2);
}

#[test]
fn a_torn_write_reports_success_and_a_short_one_does_not() {
    let disk = Disk::new();
    disk.write(1, 4 * PAGE).result.unwrap();
    disk.engine.inject(Operation::Write, Fault::Torn { bytes: 2 * PAGE });
    disk.write(2, 4 * PAGE).result.unwrap();
    assert_eq!(disk.contents(), [[2; PAGE], [2; PAGE], [1; PAGE], [1; PAGE]].concat());
    disk.engine.inject(Operation::Write, Fault::Short { bytes: PAGE });
    let result = disk.write(3, 4 * PAGE).result;
    assert!(matches!(result, Err(IoError::UnexpectedEnd { got: PAGE, .. })), "{result:?}");
    assert_eq!(disk.contents()[..2 * PAGE], [[3; PAGE], [2; PAGE]].concat());
}

#[test]
fn a_short_read_brings_the_first_bytes_and_an_error() {
    let disk = Disk::new();
    disk.write(7, 2 * PAGE).result.unwrap();
    for (kept, fault) in [(PAGE, Fault::Short { bytes: PAGE }), (0, Fault::Short { bytes: 0 })] {
        disk.engine.inject(Operation::Read, fault);
        let completion = disk.read(2 * PAGE);
        assert!(matches!(completion.result, Err(IoError::UnexpectedEnd { got, .. }) if got == kept));
        let right = [vec![7; kept], vec![0; 2 * PAGE - kept]].concat();
        assert_eq!(&*bytes(completion), right);
    }
}

#[test]
fn after_a_power_cut_writes_seem_to_succeed_and_change_nothing() {
    let disk = Disk::new();
    disk.write(1, PAGE).result.unwrap();
    disk.engine.cut_power();
    disk.write(2, PAGE).result.unwrap();
    disk.sync().result.unwrap();
    assert_eq!(disk.contents(), [1; PAGE]);
}

fn submit_writes(engine: &dyn Engine, file: &Arc<IoFile>, count: u64) -> Receiver<Completion> {
    let (sender, receiver) = unbounded();
    for index in 0..count {
        let sender = sender.clone();
        let done = move |completion: Completion| drop(sender.send(completion));
        let buffer = AlignedBuffer::zeroed(PAGE).unwrap();
        engine.submit(Request::write(file.clone(), index * PAGE as u64, buffer, done));
    }
    receiver
}

#[test]
fn held_requests_wait_until_they_are_released() {
    let disk = Disk::new();
    disk.engine.hold();
    let completions = submit_writes(&*disk.engine, &disk.file, 3);
    assert_eq!((disk.engine.held(), completions.len()), (3, 0));
    disk.engine.release();
    assert_eq!(completions.iter().count(), 3);
    assert_eq!(disk.engine.held(), 0);
}

#[test]
fn every_request_is_measured_where_it_belongs() {
    let disk = Disk::new();
    let measured = Measured::new(disk.engine.clone());
    disk.engine.hold();
    let completions = submit_writes(&*measured, &disk.file, 3);
    let stats = measured.stats();
    assert_eq!((stats.write.in_flight, stats.write.in_flight_max, stats.write.operations), (3, 3, 0));
    disk.engine.release();
    assert_eq!(completions.iter().filter(|completion| completion.result.is_ok()).count(), 3);

    disk.engine.inject(Operation::Read, Fault::Fail(Errno::IO));
    let buffer = || AlignedBuffer::zeroed(2 * PAGE).unwrap();
    assert!(wait(&*measured, |done| Request::read(disk.file.clone(), 0, buffer(), done)).result.is_err());
    assert!(wait(&*measured, |done| Request::read(disk.file.clone(), 0, buffer(), done)).result.is_ok());
    assert!(wait(&*measured, |done| Request::sync(disk.file.clone(), done)).result.is_ok());
    let stats = measured.stats();
    assert_eq!((stats.write.operations, stats.write.bytes, stats.write.in_flight), (3, 3 * PAGE as u64, 0));
    assert_eq!((stats.read.operations, stats.read.bytes, stats.read.errors), (1, 2 * PAGE as u64, 1));
    assert_eq!((stats.sync.operations, stats.sync.bytes), (1, 0));
    assert!(stats.write.busy > Duration::ZERO && stats.write.latency >= stats.write.busy);
}

/// Time that passes only while somebody sleeps.
#[derive(Default)]
struct ManualClock(Mutex<Duration>);

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, moment: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = moment.max(*now);
    }
}

fn limited(disk: &Disk, limits: RateLimits) -> (Limited, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (Limited::new(disk.engine.clone(), limits, 64, clock.clone(), &Panics::default()).unwrap(), clock)
}

#[test]
fn a_limited_direction_takes_exactly_the_time_of_its_bytes() {
    let disk = Disk::new();
    let rate = 100 * PAGE as u64;
    let (engine, clock) = limited(&disk, RateLimits { read: None, write: Some(rate) });
    let completions = submit_writes(&engine, &disk.file, 50);
    assert_eq!(completions.iter().take(50).map(|completion| completion.result.unwrap()).count(), 50);
    assert_eq!(clock.now(), Duration::from_millis(500));
}

#[test]
fn each_direction_has_its_own_limit_and_syncs_have_none() {
    let disk = Disk::new();
    disk.write(1, PAGE).result.unwrap();
    let (engine, clock) = limited(&disk, RateLimits { read: Some(PAGE as u64), write: None });
    for completion in submit_writes(&engine, &disk.file, 10).iter().take(10) {
        completion.result.unwrap();
    }
    wait(&engine, |done| Request::sync(disk.file.clone(), done)).result.unwrap();
    assert_eq!(clock.now(), Duration::ZERO);
    let buffer = AlignedBuffer::zeroed(PAGE).unwrap();
    wait(&engine, |done| Request::read(disk.file.clone(), 0, buffer, done)).result.unwrap();
    assert_eq!(clock.now(), Duration::from_secs(1));
}
