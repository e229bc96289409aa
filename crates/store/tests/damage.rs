//! Whatever bytes lie in the folder, a store opens, and no record is told that was not put under its key.

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use attentionstore_store::{Found, Part, Store};
use support::*;

/// Files of a store by name, as a crash leaves them: the log has batches that the file has not.
type Files = Vec<(String, Vec<u8>)>;

const ROUNDS: usize = 10_000;
const PAGE: usize = 4096;

struct Crashed {
    files: Files,
    /// The records after each batch, from none on.
    states: Vec<Records>,
    /// Of these, how many are in the file, and not in the log alone.
    written_back: usize,
}

/// Pages of records in more than one level, values longer than a page, records that were removed.
fn crashed(folder: &Path) -> Crashed {
    let mut random = Random(1);
    let mut states = vec![Records::new()];
    let mut store = start(folder);
    store.open_now().unwrap();
    let mut written_back = 0;
    for round in 0..24_u8 {
        if round == 15 {
            store.close();
            store = start(folder);
            store.open_now().unwrap();
            written_back = states.len();
        }
        states.push(commit_some(&store, round, &mut random, states.last().unwrap().clone()));
    }
    let files = fs::read_dir(folder.join("store")).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    let mut files: Files = files.collect();
    files.sort();
    Crashed { files, states, written_back }
}

fn commit_some(store: &Store, round: u8, random: &mut Random, mut known: Records) -> Records {
    let table = store.table("records");
    let mut operations = Vec::new();
    for _ in 0..4 {
        let key = format!("key {}", random.below(60)).into_bytes();
        let length = if random.below(20) == 0 { 9000 } else { random.below(300) };
        let value = (random.below(4) > 0).then(|| vec![round; length]);
        match &value {
            Some(value) => drop(known.insert(key.clone(), value.clone())),
            None => drop(known.remove(&key)),
        }
        operations.push((key, value));
    }
    let packed: Vec<_> =
        operations.iter().map(|(key, value)| (table, key.as_slice(), value.as_deref())).collect();
    commit(store, batch(&packed), Part::Change).unwrap();
    known
}

fn lay(files: &Files, folder: &Path) {
    let store = folder.join("store");
    fs::create_dir_all(&store).unwrap();
    for (name, bytes) in files {
        fs::write(store.join(name), bytes).unwrap();
    }
}

fn damage(files: &mut Files, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let file = random.below(files.len());
        let bytes = &mut files[file].1;
        if bytes.is_empty() {
            continue;
        }
        let at = random.below(bytes.len());
        let page = at / PAGE * PAGE;
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.truncate(page),
            2 => bytes[page..].iter_mut().take(PAGE).for_each(|byte| *byte = 0),
            3 => bytes[at..].iter_mut().take(16).for_each(|byte| *byte = random.next() as u8),
            // The head of a page has the numbers that lead elsewhere.
            4 | 5 => {
                let head = (page + random.below(64)).min(bytes.len() - 1);
                bytes[head] = random.next() as u8;
            }
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
}

/// What a server does with a store: it reads all, writes, and reads again. The value is an error's code.
fn serve(store: &Store, put: &HashSet<(Vec<u8>, Vec<u8>)>, context: &str) -> Result<(), &'static str> {
    let table = store.table("records");
    let code = |error: attentionstore_store::StoreError| error.code();
    let (before, _) = read(store, table).map_err(code)?;
    for (key, value) in before {
        assert!(put.contains(&(key.clone(), value)), "{context}: {key:?} has a value that was never put");
    }
    let (gone, new) = (&b"key 7"[..], &b"new"[..]);
    commit(store, batch(&[(table, new, Some(b"value")), (table, gone, None)]), Part::Change).map_err(code)?;
    let (after, _) = read(store, table).map_err(code)?;
    assert!(after.get(new).is_none_or(|value| value == b"value"), "{context}");
    Ok(())
}

#[test]
fn ten_thousand_random_flips_and_cuts_end_with_a_store_that_serves() {
    let folder = folder();
    let Crashed { files, states, .. } = crashed(folder.path());
    let put: HashSet<_> = states.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let seed = seed();
    let mut random = Random(seed);
    let (mut kept, mut set_aside, mut in_service) = (0, 0, 0);
    for round in 0..ROUNDS {
        let context = format!("SEED={seed}, round {round}");
        let place = tempfile::tempdir_in(folder.path()).unwrap();
        let mut damaged = files.clone();
        damage(&mut damaged, &mut random);
        lay(&damaged, place.path());
        let store = start(place.path());
        match store.open_now().unwrap_or_else(|error| panic!("{context}: {error}")) {
            Found::Damaged { .. } | Found::OtherFormat => set_aside += 1,
            Found::Kept { .. } => kept += 1,
            Found::Nothing => panic!("{context}: the store vanished"),
        }
        if let Err(code) = serve(&store, &put, &context) {
            assert_eq!(code, "store_damaged", "{context}");
            in_service += 1;
            begin_anew(&store, true).unwrap();
            serve(&store, &put, &context).unwrap_or_else(|code| panic!("{context}: {code} in a new store"));
        }
        assert!(fs::read_dir(place.path()).unwrap().count() <= 2, "{context}");
    }
    println!("{kept} kept, {set_aside} set aside at the opening, {in_service} later");
    assert!(kept > 1000 && set_aside > 200 && in_service > 500, "the rounds meet each kind of damage");
}

#[test]
fn a_log_that_is_cut_anywhere_leaves_whole_batches_up_to_there() {
    let folder = folder();
    let Crashed { files, states, written_back } = crashed(folder.path());
    let log = files.iter().position(|(name, _)| name.ends_with("-wal")).expect("there is a log");
    let length = files[log].1.len();
    let cuts = (0..=length / 512).map(|at| 512 * at).chain([length - 1, length]);
    let mut found = HashSet::new();
    for cut in cuts {
        let place = tempfile::tempdir_in(folder.path()).unwrap();
        let mut left = files.clone();
        left[log].1.truncate(cut);
        lay(&left, place.path());
        let store = start(place.path());
        assert_eq!(store.open_now().unwrap(), Found::Kept { is_whole: true }, "{cut} bytes");
        let records = read(&store, store.table("records")).unwrap().0;
        let state = states.iter().rposition(|state| *state == records);
        found.insert(state.unwrap_or_else(|| panic!("{cut} bytes: a batch is there in part")));
    }
    let expected: HashSet<_> = (written_back - 1..states.len()).collect();
    assert_eq!(found, expected);
}

/// Ways to damage a folder that an operator or a program may find.
type Damage = (&'static str, fn(&Path));

const NAMED: [Damage; 12] = [
    ("cut to 100 bytes", |store| cut(&store.join("records.sqlite"), 100)),
    ("cut to 57,344 bytes", |store| cut(&store.join("records.sqlite"), 57_344)),
    ("one page short", |store| {
        let length = fs::metadata(store.join("records.sqlite")).unwrap().len();
        cut(&store.join("records.sqlite"), length - PAGE as u64);
    }),
    ("empty", |store| cut(&store.join("records.sqlite"), 0)),
    ("zeroed", |store| {
        let length = fs::metadata(store.join("records.sqlite")).unwrap().len();
        fs::write(store.join("records.sqlite"), vec![0; length as usize]).unwrap();
    }),
    ("replaced by text", |store| fs::write(store.join("records.sqlite"), "a letter\n".repeat(1000)).unwrap()),
    ("a folder in the place of the file", |store| {
        fs::remove_file(store.join("records.sqlite")).unwrap();
        fs::create_dir(store.join("records.sqlite")).unwrap();
    }),
    ("a folder in the place of the log", |store| {
        fs::create_dir(store.join("records.sqlite-wal")).unwrap();
    }),
    ("a pipe in the place of the file", |store| {
        fs::remove_file(store.join("records.sqlite")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            store.join("records.sqlite"),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
    }),
    ("a file in the place of the folder", |store| {
        fs::remove_dir_all(store).unwrap();
        fs::write(store, "text").unwrap();
    }),
    ("a link that leads nowhere", |store| {
        fs::remove_dir_all(store).unwrap();
        std::os::unix::fs::symlink("nowhere", store).unwrap();
    }),
    ("another application's database", |store| {
        let file = store.join("records.sqlite");
        fs::remove_file(&file).unwrap();
        rusqlite::Connection::open(file).unwrap().execute_batch("CREATE TABLE letters(text)").unwrap();
    }),
];

fn cut(file: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_store_that_was_damaged_in_a_known_way_is_set_aside_and_another_one_begun() {
    for (name, damage) in NAMED {
        let folder = folder();
        let store = start(folder.path());
        store.open_now().unwrap();
        let table = store.table("records");
        for i in 0..100_u32 {
            commit(&store, batch(&[(table, &i.to_be_bytes(), Some(&[1; 900]))]), Part::Change).unwrap();
        }
        store.close();
        damage(&folder.path().join("store"));
        let again = start(folder.path());
        let mut found = again.open_now().unwrap_or_else(|error| panic!("{name}: {error}"));
        if matches!(found, Found::Kept { .. }) {
            let table = again.table("records");
            assert_eq!(read(&again, table).unwrap_err().code(), "store_damaged", "{name}");
            found = begin_anew(&again, true).unwrap();
        }
        assert!(matches!(found, Found::Damaged { aside: Some(_), .. }), "{name}: {found:?}");
        assert!(folder.path().join("store.damaged").symlink_metadata().is_ok(), "{name}");
        let table = again.table("records");
        commit(&again, batch(&[(table, b"key", Some(b"value"))]), Part::Change).unwrap();
        assert_eq!(read(&again, table).unwrap().0.len(), 1, "{name}");
    }
}

#[test]
fn a_store_of_lmdb_or_of_another_format_is_deleted() {
    let folder = folder();
    let path = folder.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("data.mdb"), [1; 100]).unwrap();
    fs::write(path.join("format"), "2").unwrap();
    let store = start(folder.path());
    assert_eq!(store.open_now().unwrap(), Found::OtherFormat);
    store.close();
    assert!(!path.join("data.mdb").exists() && !folder.path().join("store.damaged").exists());
    let file = rusqlite::Connection::open(path.join("records.sqlite")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    file.close().unwrap();
    let later = start(folder.path());
    assert_eq!(later.open_now().unwrap(), Found::OtherFormat);
    later.close();
    // Not all that the server knew was written to it.
    assert_eq!(start(folder.path()).open_now().unwrap(), Found::Kept { is_whole: false });
}
