//! The thread that has the store's file. Commits run there one after the other; pages are read ahead.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use attentionstore_kv::secret::SECRET_BYTES;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::StoreError;
use crate::file::{Page, RecordFile};
use crate::folder::{Folder, Found};
use crate::packed::PackedBatch;
use crate::table::Table;

/// Commands that wait. A caller that sends more waits for the disk.
const MOST_COMMANDS: usize = 16;

/// What a batch is to the records that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Changes them, in one commit.
    Change,
    /// Replaces all of them, in one commit that goes from the first of these to the last. Each has records of its own.
    First,
    Next,
    Last,
}

/// A reply that is dropped says that the store is closed, so that every command is answered.
struct Reply<T>(Option<Tell<T>>);

/// Told once, on the store's thread, how a command ended.
type Tell<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

impl<T> Reply<T> {
    fn new(reply: impl FnOnce(Result<T, StoreError>) + Send + 'static) -> Self {
        Self(Some(Box::new(reply)))
    }

    fn tell(mut self, outcome: Result<T, StoreError>) {
        if let Some(reply) = self.0.take() {
            reply(outcome);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply(Err(StoreError::Closed));
        }
    }
}

enum Command {
    Open(Reply<Found>),
    BeginAnew { detail: String, keeps: bool, reply: Reply<Found> },
    RemoveAside(Reply<bool>),
    Table(Table),
    Page { table: u32, after: Option<Vec<u8>>, reply: Reply<Vec<u8>> },
    Commit { batch: PackedBatch, part: Part, reply: Reply<()> },
}

/// A store, opened or not. Every method that takes a reply returns at once.
#[derive(Debug)]
pub struct Store {
    secret: [u8; SECRET_BYTES],
    tables: Mutex<Vec<String>>,
    commands: Mutex<Option<Sender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Starts the thread. `folder`: where the store's files lie; the caller holds the lock of the directory around it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the system gives no thread.
    pub fn start(folder: PathBuf, secret: [u8; SECRET_BYTES]) -> Result<Self, StoreError> {
        let (sender, receiver) = bounded(MOST_COMMANDS);
        let desk = Desk { folder: Folder::new(folder.clone()), file: None, tables: Vec::new(), ahead: None };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || desk.run(&receiver));
        let thread = thread.map_err(|error| StoreError::Io { path: folder, detail: error.to_string() })?;
        let (tables, commands) = (Mutex::default(), Mutex::new(Some(sender)));
        Ok(Self { secret, tables, commands, thread: Mutex::new(Some(thread)) })
    }

    /// Opens the store, or begins one where there is none that can be read.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::ReadOnly`] or [`StoreError::Io`]: the disk refuses. It may be tried again.
    pub fn open(&self, reply: impl FnOnce(Result<Found, StoreError>) + Send + 'static) {
        self.send(Command::Open(Reply::new(reply)));
    }

    /// As [`Self::open`], and waits.
    pub fn open_now(&self) -> Result<Found, StoreError> {
        self.wait(Command::Open)
    }

    /// Begins a store in place of the one that is there, which is set aside if `keeps`, else deleted. `detail` comes back in
    /// [`Found::Damaged`].
    pub fn begin_anew(
        &self,
        detail: String,
        keeps: bool,
        reply: impl FnOnce(Result<Found, StoreError>) + Send + 'static,
    ) {
        self.send(Command::BeginAnew { detail, keeps, reply: Reply::new(reply) });
    }

    /// Deletes the store that was set aside; answers whether there was one.
    pub fn remove_aside(&self, reply: impl FnOnce(Result<bool, StoreError>) + Send + 'static) {
        self.send(Command::RemoveAside(Reply::new(reply)));
    }

    /// The number of the table with this name.
    pub fn table(&self, name: &str) -> u32 {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tables.iter().position(|known| known == name) {
            return known as u32;
        }
        tables.push(name.to_owned());
        self.send(Command::Table(Table::new(&self.secret, name)));
        (tables.len() - 1) as u32
    }

    /// Records of a table behind `after`, in the order of their keys, packed as [`crate::packed`] says; none: there are no
    /// more. Waits for the disk, and for the commits before it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the file cannot be read; [`StoreError::Closed`] where none is open.
    pub fn page(&self, table: u32, after: Option<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
        self.wait(|reply| Command::Page { table, after, reply })
    }

    /// Commits a batch: when the reply comes without an error, it is on disk.
    pub fn commit(
        &self,
        batch: PackedBatch,
        part: Part,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.send(Command::Commit { batch, part, reply: Reply::new(reply) });
    }

    /// Ends the thread when all commands before are answered, and waits for that. May be called twice.
    pub fn close(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A thread that panicked has answered with `Closed`.
            let _ = thread.join();
        }
    }

    fn wait<T: Send + 'static>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (sender, receiver) = bounded(1);
        self.send(command(Reply::new(move |outcome| {
            // The receiver is there as long as this is waited for.
            let _ = sender.send(outcome);
        })));
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// A command that cannot be sent is dropped, and so its reply says that the store is closed.
    fn send(&self, command: Command) {
        let sender = self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sender) = sender {
            let _ = sender.send(command);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// A page that was read before it was asked for.
struct Ahead {
    table: u32,
    after: Vec<u8>,
    page: Page,
}

struct Desk {
    folder: Folder,
    /// None: it is not open.
    file: Option<RecordFile>,
    tables: Vec<Table>,
    ahead: Option<Ahead>,
}

impl Desk {
    fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            self.handle(command, commands);
        }
        if let Some(file) = self.file.take() {
            // What the log has is read from it at the next start.
            let _ = file.close();
        }
    }

    fn handle(&mut self, command: Command, commands: &Receiver<Command>) {
        match command {
            Command::Open(reply) => {
                self.release();
                let opened = self.folder.open();
                reply.tell(opened.map(|opened| self.take(opened)));
            }
            Command::BeginAnew { detail, keeps, reply } => {
                self.release();
                let opened = self.folder.begin_anew(detail, keeps);
                reply.tell(opened.map(|opened| self.take(opened)));
            }
            Command::RemoveAside(reply) => reply.tell(self.folder.remove_aside()),
            Command::Table(table) => self.tables.push(table),
            Command::Page { table, after, reply } => {
                let page = self.page(table, after.as_deref());
                let last = page.as_ref().ok().and_then(|page| page.last.clone());
                reply.tell(page.map(|page| page.bytes));
                if let (Some(after), true) = (last, commands.is_empty()) {
                    // An error shows again when the page is asked for.
                    self.ahead = self.read(table, Some(&after)).ok().map(|page| Ahead { table, after, page });
                }
            }
            Command::Commit { batch, part, reply } => {
                self.ahead = None;
                reply.tell(self.commit(&batch, part));
            }
        }
    }

    /// The file is closed without a word: it may be damaged, and what its log has counts at the next opening.
    fn release(&mut self) {
        self.ahead = None;
        drop(self.file.take());
    }

    fn take(&mut self, crate::folder::Opened { found, file }: crate::folder::Opened) -> Found {
        self.file = Some(file);
        found
    }

    fn page(&mut self, table: u32, after: Option<&[u8]>) -> Result<Page, StoreError> {
        match self.ahead.take() {
            Some(ahead) if ahead.table == table && after == Some(&ahead.after) => Ok(ahead.page),
            _ => self.read(table, after),
        }
    }

    fn read(&self, table: u32, after: Option<&[u8]>) -> Result<Page, StoreError> {
        let file = self.file.as_ref().ok_or(StoreError::Closed)?;
        let table = self
            .tables
            .get(table as usize)
            .ok_or_else(|| StoreError::Invalid { what: "table", detail: format!("{table} is unknown") })?;
        file.page(table, after)
    }

    fn commit(&self, batch: &PackedBatch, part: Part) -> Result<(), StoreError> {
        let file = self.file.as_ref().ok_or(StoreError::Closed)?;
        match part {
            Part::Change => file.commit(&self.tables, batch),
            Part::First => file.begin_rewrite().and_then(|()| file.rewrite(&self.tables, batch)),
            Part::Next => file.rewrite(&self.tables, batch),
            Part::Last => file.rewrite(&self.tables, batch).and_then(|()| file.end_rewrite()),
        }
    }
}
