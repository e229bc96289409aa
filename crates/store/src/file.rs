//! One SQLite file of records, and how it is opened.
//!
//! - `mmap_size=0`, and the write-ahead log under an exclusive lock, whose index then lies on the heap: no file is mapped,
//!   so a disk that fails is an error and never a signal.
//! - `synchronous=FULL`: a batch is on disk when its commit has ended.
//! - `trusted_schema=OFF`, `cell_size_check=ON`, and a schema that is compared word by word: bytes of others run nothing.
//! - `secure_delete=ON`: a record that is removed is overwritten in the file, and a checkpoint empties the log.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Statement, ffi, params};
use rustix::io::Errno;

use crate::error::StoreError;
use crate::packed::{PackedBatch, push_record};
use crate::table::Table;

/// "ATST": the file is one of ours.
const APPLICATION_ID: i32 = 0x4154_5354;
/// Raised where records change meaning. 1 and 2 were not SQLite's.
const FORMAT: i32 = 3;
/// The first bytes of a file of SQLite; and the versions of writing and reading of one that has a write-ahead log.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const LOGGED: [u8; 2] = [2, 2];
const SCHEMA: &str = "CREATE TABLE records(part TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, \
                      PRIMARY KEY(part, key)) WITHOUT ROWID, STRICT";
/// The log is written back into the file, and emptied, when it is longer: 4 MiB.
const LOG_BYTES: u64 = 4 << 20;
/// Bytes of a page of records, about; one record may be longer.
const PAGE_BYTES: usize = 256 << 10;

/// What a folder's file is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `is_whole`: no record that the server before had in memory is missing.
    Ours { file: RecordFile, is_whole: bool },
    /// One of ours, whose records mean something else.
    OtherFormat,
}

#[derive(Debug)]
pub(crate) struct RecordFile {
    connection: Connection,
    path: PathBuf,
    log: PathBuf,
}

/// One page of a table's records, and the last key of it; None: there are no more.
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    pub(crate) last: Option<Vec<u8>>,
}

impl RecordFile {
    /// Makes an empty file. It has its name when it is complete, so what has the name was a whole store once.
    pub(crate) fn create(path: &Path, is_whole: bool) -> Result<(), StoreError> {
        let aside = with_suffix(path, ".new");
        for leftover in [aside.clone(), log_of(&aside)] {
            remove_if_there(&leftover).map_err(StoreError::io(&leftover))?;
        }
        touch(&aside)?;
        let made = Self::connect(&aside)?;
        made.run(|connection| {
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", if is_whole { FORMAT } else { -FORMAT })?;
            connection.execute_batch(SCHEMA)
        })?;
        made.close()?;
        // A log that is left here would be taken for the new file's.
        let log = log_of(path);
        remove_if_there(&log).map_err(StoreError::io(&log))?;
        fs::rename(&aside, path).map_err(StoreError::io(path))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io(folder))
    }

    /// Opens what `create` made. What its log has of committed batches is part of it.
    pub(crate) fn open(path: &Path) -> Result<Kind, StoreError> {
        for file in [path.to_path_buf(), log_of(path)] {
            refuse_what_is_no_file(&file)?;
        }
        // By hand first: the system's own error says why it cannot be opened.
        let opened = match fs::OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => fs::File::open(path),
            other => other,
        };
        check_head(path, opened.map_err(StoreError::io(path))?)?;
        let file = Self::connect(path)?;
        let number = |name: &str| {
            file.run(|connection| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)))
        };
        if number("application_id")? != APPLICATION_ID {
            return Err(StoreError::damaged(path, "it is another application's"));
        }
        let version = number("user_version")?;
        if version.checked_abs() != Some(FORMAT) {
            return Ok(Kind::OtherFormat);
        }
        let schemas = file.run(|connection| {
            let mut statement = connection.prepare("SELECT sql FROM sqlite_schema")?;
            statement.query_map([], |row| row.get::<_, Option<String>>(0))?.collect::<Result<Vec<_>, _>>()
        })?;
        if schemas.iter().map(Option::as_deref).ne([Some(SCHEMA)]) {
            return Err(StoreError::damaged(path, "its schema is another one"));
        }
        Ok(Kind::Ours { file, is_whole: version > 0 })
    }

    /// The records of `table` behind `after` in the order of their keys, as many as fit a page.
    pub(crate) fn page(&self, table: &Table, after: Option<&[u8]>) -> Result<Page, StoreError> {
        let mut page = Page { bytes: Vec::with_capacity(PAGE_BYTES), last: None };
        let is_ordered = self.run(|connection| {
            // Two statements: an `OR` would not be looked up in the index.
            let mut statement = match after {
                None => connection.prepare("SELECT key, value FROM records WHERE part = ?1 ORDER BY key")?,
                Some(_) => connection
                    .prepare("SELECT key, value FROM records WHERE part = ?1 AND key > ?2 ORDER BY key")?,
            };
            let mut rows = match after {
                None => statement.query(params![table.name])?,
                Some(after) => statement.query(params![table.name, after])?,
            };
            let mut previous = after.map(<[u8]>::to_vec);
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_blob()?;
                // A damaged tree may lead back to where the walk came from.
                if previous.as_deref().is_some_and(|previous| key <= previous) {
                    return Ok(false);
                }
                let mut value = row.get_ref(1)?.as_blob()?.to_vec();
                push_record(&mut page.bytes, key, table.open(key, &mut value));
                if page.bytes.len() >= PAGE_BYTES {
                    page.last = Some(key.to_vec());
                    break;
                }
                let previous = previous.get_or_insert_default();
                previous.clear();
                previous.extend(key);
            }
            Ok(true)
        })?;
        if is_ordered {
            Ok(page)
        } else {
            Err(StoreError::damaged(&self.path, "its records are not in order"))
        }
    }

    /// Commits a batch: all of it is on disk, or nothing of it is known. Of another error than [`StoreError::Invalid`] it may
    /// be on disk all the same; the same batch may be given again.
    pub(crate) fn commit(&self, tables: &[Table], batch: &PackedBatch) -> Result<(), StoreError> {
        self.write_back_if_long()?;
        self.begin()?;
        self.or_roll_back(
            self.apply(tables, batch)
                .and_then(|()| self.run(|connection| connection.execute_batch("COMMIT"))),
        )
    }

    /// Begins to replace all records: until `end_rewrite`, a crash leaves those of before.
    pub(crate) fn begin_rewrite(&self) -> Result<(), StoreError> {
        self.write_back_if_long()?;
        self.begin()?;
        self.or_roll_back(self.run(|connection| connection.execute_batch("DELETE FROM records")))
    }

    /// More records of the rewrite.
    pub(crate) fn rewrite(&self, tables: &[Table], batch: &PackedBatch) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::Invalid { what: "batch", detail: "no rewrite was begun".into() });
        }
        self.or_roll_back(self.apply(tables, batch))
    }

    /// The records of the rewrite are on disk, and those of before are not. The store is whole.
    pub(crate) fn end_rewrite(&self) -> Result<(), StoreError> {
        let ended = self.run(|connection| {
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute_batch("COMMIT")
        });
        self.or_roll_back(ended)?;
        self.write_back_if_long()
    }

    /// Writes the log back and removes it.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        let Self { connection, path, .. } = self;
        connection.close().map_err(|(connection, error)| {
            let errno = system_errno(&connection);
            StoreError::of_sqlite(&path, &error, errno)
        })
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        // Its thread alone has the connection. A path is no URI: SQLite would read parameters out of its name.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| StoreError::of_sqlite(path, &error, 0))?;
        let file = Self { connection, path: path.to_path_buf(), log: log_of(path) };
        file.run(|connection| {
            let pragmas = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF; \
                           PRAGMA cell_size_check=ON; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; \
                           PRAGMA secure_delete=ON; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                           PRAGMA wal_autocheckpoint=0";
            run_all(connection, pragmas)
        })?;
        Ok(file)
    }

    fn apply(&self, tables: &[Table], batch: &PackedBatch) -> Result<(), StoreError> {
        let mut sealed = Vec::new();
        let mut put = self.prepare("INSERT OR REPLACE INTO records(part, key, value) VALUES(?1, ?2, ?3)")?;
        let mut remove = self.prepare("DELETE FROM records WHERE part = ?1 AND key = ?2")?;
        for operation in batch.operations() {
            let operation = operation?;
            let table = tables.get(operation.table as usize).ok_or_else(|| StoreError::Invalid {
                what: "batch",
                detail: format!("table {} is unknown", operation.table),
            })?;
            match operation.value {
                None => self.run(|_| remove.execute(params![table.name, operation.key]))?,
                Some(value) => {
                    table.seal(operation.key, value, &mut sealed).ok_or_else(|| StoreError::Io {
                        path: self.path.clone(),
                        detail: "the system gives no random bytes".into(),
                    })?;
                    self.run(|_| put.execute(params![table.name, operation.key, sealed]))?
                }
            };
        }
        Ok(())
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.run(|connection| connection.execute_batch("BEGIN IMMEDIATE"))
    }

    /// A batch that failed leaves nothing behind.
    fn or_roll_back(&self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        if outcome.is_err() && !self.connection.is_autocommit() {
            // The error that is told is the first one.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        outcome
    }

    /// Its failure is that of the commit that would have come next, so that the log stays short.
    fn write_back_if_long(&self) -> Result<(), StoreError> {
        let length = fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
        if length < LOG_BYTES {
            return Ok(());
        }
        self.run(|connection| run_all(connection, "PRAGMA wal_checkpoint(TRUNCATE)"))
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, StoreError> {
        self.run(|connection| connection.prepare(sql))
    }

    fn run<'a, T>(
        &'a self,
        work: impl FnOnce(&'a Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection)
            .map_err(|error| StoreError::of_sqlite(&self.path, &error, system_errno(&self.connection)))
    }
}

/// Statements whose rows say nothing that is needed.
fn run_all(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    for statement in sql.split(';') {
        connection.prepare(statement)?.query_row([], |_| Ok(())).optional()?;
    }
    Ok(())
}

/// The errno of the call to the system that failed last.
fn system_errno(connection: &Connection) -> i32 {
    // SAFETY: the connection is open as long as it is borrowed, and is used by this thread alone.
    unsafe { ffi::sqlite3_system_errno(connection.handle()) }
}

pub(crate) fn log_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Only its owner may read it; the log takes over the mode.
fn touch(path: &Path) -> Result<(), StoreError> {
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(StoreError::io(path))
}

/// SQLite takes a file whose head says another version of writing for one that may not be written.
fn check_head(path: &Path, mut file: fs::File) -> Result<(), StoreError> {
    let mut head = [0; 20];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(StoreError::damaged(path, "it is cut off"))
        }
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
            Err(StoreError::damaged(path, error.to_string()))
        }
        Err(error) => Err(StoreError::io(path)(error)),
        Ok(()) if head[..16] != *MAGIC || head[18..] != LOGGED => {
            Err(StoreError::damaged(path, "its head is another one"))
        }
        Ok(()) => Ok(()),
    }
}

/// Opening a pipe would wait for its other end.
fn refuse_what_is_no_file(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(StoreError::damaged(path, "it is no file")),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path)(error)),
        _ => Ok(()),
    }
}
