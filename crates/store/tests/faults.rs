//! A disk that refuses: SQLite's own calls to the system are replaced by ones that fail as told.
//!
//! The calls are those of the process, so the tests take turns.

mod support;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use attentionstore_store::{Found, Part, Store};
use rusqlite::ffi;
use support::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EROFS: i32 = 30;

unsafe extern "C" {
    fn pwrite64(file: c_int, bytes: *const c_void, length: usize, at: i64) -> isize;
    fn pread64(file: c_int, bytes: *mut c_void, length: usize, at: i64) -> isize;
    #[link_name = "__errno_location"]
    fn errno() -> *mut c_int;
}

/// Calls that still succeed, and the error of those that do not.
struct Calls {
    left: AtomicI64,
    error: AtomicI32,
}

impl Calls {
    const fn new() -> Self {
        Self { left: AtomicI64::new(i64::MAX), error: AtomicI32::new(0) }
    }

    fn fail_after(&self, calls: i64, error: i32) {
        self.error.store(error, Ordering::SeqCst);
        self.left.store(calls, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }

    /// Some: the call fails, and the system's errno says why.
    fn refuse(&self) -> Option<isize> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return None;
        }
        // SAFETY: the address is that of this thread's own errno.
        unsafe { *errno() = self.error.load(Ordering::SeqCst) };
        Some(-1)
    }
}

static WRITES: Calls = Calls::new();
static READS: Calls = Calls::new();
static TURN: Mutex<()> = Mutex::new(());

unsafe extern "C" fn failing_write(file: c_int, bytes: *const c_void, length: usize, at: i64) -> isize {
    // SAFETY: the arguments are SQLite's for this very call.
    WRITES.refuse().unwrap_or_else(|| unsafe { pwrite64(file, bytes, length, at) })
}

unsafe extern "C" fn failing_read(file: c_int, bytes: *mut c_void, length: usize, at: i64) -> isize {
    // SAFETY: the arguments are SQLite's for this very call.
    READS.refuse().unwrap_or_else(|| unsafe { pread64(file, bytes, length, at) })
}

/// Puts a function in the place of one of SQLite's calls to the system.
fn replace(name: &CStr, with: *const c_void) {
    // SAFETY: SQLite is initialised by the first call, its default file system has the table of calls, and `with` has the
    // signature of the call that is named.
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
        let set = (*vfs).xSetSystemCall.expect("the default file system has it");
        let with: ffi::sqlite3_syscall_ptr = std::mem::transmute(with);
        assert_eq!(set(vfs, name.as_ptr().cast::<c_char>(), with), ffi::SQLITE_OK, "{name:?}");
    }
}

fn my_turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: it may be called at any time, and by any thread.
    assert_eq!(unsafe { ffi::sqlite3_initialize() }, ffi::SQLITE_OK);
    // Of both names SQLite calls the one that it was compiled for.
    for name in [c"pwrite", c"pwrite64"] {
        replace(name, failing_write as *const c_void);
    }
    for name in [c"pread", c"pread64"] {
        replace(name, failing_read as *const c_void);
    }
    WRITES.mend();
    READS.mend();
    turn
}

fn put(store: &Store, number: u32) -> Result<(), attentionstore_store::StoreError> {
    let table = store.table("records");
    commit(store, batch(&[(table, &number.to_be_bytes(), Some(&[number as u8; 3000]))]), Part::Change)
}

fn numbers(store: &Store) -> Vec<u32> {
    let (records, closed) = support::read(store, store.table("records")).unwrap();
    assert_eq!(closed, 0);
    records.keys().map(|key| u32::from_be_bytes(key.as_slice().try_into().unwrap())).collect()
}

#[test]
fn on_a_disk_that_fills_up_at_any_write_nothing_is_lost_and_the_same_batch_goes_when_there_is_room() {
    let _turn = my_turn();
    let mut refused = 0;
    for writes in (0..60).chain([100, 150]) {
        let folder = folder();
        let store = start(folder.path());
        store.open_now().unwrap();
        for number in 0..5 {
            put(&store, number).unwrap();
        }
        WRITES.fail_after(writes, ENOSPC);
        let mut committed = 5;
        let outcome = loop {
            match put(&store, committed) {
                Ok(()) if committed < 30 => committed += 1,
                outcome => break outcome,
            }
        };
        if let Err(error) = outcome {
            refused += 1;
            assert_eq!(error.code(), "store_full", "{writes} writes: {error}");
            assert_eq!(put(&store, committed).unwrap_err().code(), "store_full");
            assert_eq!(numbers(&store), (0..committed).collect::<Vec<_>>(), "{writes} writes");
            WRITES.mend();
            put(&store, committed).unwrap();
        }
        WRITES.mend();
        assert_eq!(numbers(&store), (0..=committed).collect::<Vec<_>>(), "{writes} writes");
        store.close();
        let again = start(folder.path());
        assert_eq!(again.open_now().unwrap(), Found::Kept { is_whole: true });
        assert_eq!(numbers(&again), (0..=committed).collect::<Vec<_>>(), "{writes} writes");
    }
    assert!(refused > 40, "{refused} rounds met a full disk");
}

#[test]
fn a_store_is_opened_and_read_on_a_full_disk_and_none_is_begun_there() {
    let _turn = my_turn();
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    put(&store, 1).unwrap();
    store.close();
    WRITES.fail_after(0, ENOSPC);
    let again = start(folder.path());
    assert_eq!(again.open_now().unwrap(), Found::Kept { is_whole: true });
    assert_eq!(numbers(&again), [1]);
    let elsewhere = support::folder();
    let new = start(elsewhere.path());
    assert_eq!(new.open_now().unwrap_err().code(), "store_full");
    assert_eq!(put(&new, 2).unwrap_err().code(), "store_closed");
    WRITES.mend();
    assert_eq!(new.open_now().unwrap(), Found::Nothing);
    put(&new, 2).unwrap();
}

#[test]
fn a_rewrite_that_the_disk_refuses_leaves_the_records_of_before() {
    let _turn = my_turn();
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    put(&store, 1).unwrap();
    let table = store.table("records");
    let long: Vec<_> = (10..4000_u32).map(|number| (number.to_be_bytes(), [1; 3000])).collect();
    let operations: Vec<_> =
        long.iter().map(|(key, value)| (table, key.as_slice(), Some(value.as_slice()))).collect();
    WRITES.fail_after(0, ENOSPC);
    commit(&store, batch(&[]), Part::First).unwrap();
    // More than the memory that SQLite may take: it has to write before the end.
    let mut outcome = commit(&store, batch(&operations), Part::Next);
    if outcome.is_ok() {
        outcome = commit(&store, batch(&[]), Part::Last);
    }
    assert_eq!(outcome.unwrap_err().code(), "store_full");
    WRITES.mend();
    assert_eq!(numbers(&store), [1]);
    put(&store, 2).unwrap();
    assert_eq!(numbers(&store), [1, 2]);
}

#[test]
fn a_disk_that_became_read_only_or_fails_says_so() {
    let _turn = my_turn();
    for (error, code) in [(EROFS, "store_read_only"), (EIO, "store_io")] {
        let folder = folder();
        let store = start(folder.path());
        store.open_now().unwrap();
        put(&store, 1).unwrap();
        WRITES.fail_after(0, error);
        assert_eq!(put(&store, 2).unwrap_err().code(), code);
        for _ in 0..2 {
            assert_eq!(begin_anew(&store, true).unwrap_err().code(), code);
        }
        WRITES.mend();
        begin_anew(&store, true).unwrap();
        put(&store, 2).unwrap();
        assert_eq!(numbers(&store), [2]);
        assert!(
            folder.path().join("store.damaged/records.sqlite").exists(),
            "trying again does not take what was set aside"
        );
    }
}

#[test]
fn a_disk_that_gives_no_bytes_back_is_damage() {
    let _turn = my_turn();
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    for number in 0..2000 {
        put(&store, number).unwrap();
    }
    READS.fail_after(0, EIO);
    let outcome = support::read(&store, store.table("records"));
    assert_eq!(outcome.map(|(records, _)| records.len()).unwrap_err().code(), "store_damaged");
    READS.mend();
    assert!(matches!(begin_anew(&store, true).unwrap(), Found::Damaged { aside: Some(_), .. }));
    put(&store, 1).unwrap();
    assert_eq!(numbers(&store), [1]);
}
