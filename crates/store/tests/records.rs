//! Records come back as they were committed, whole batches at a time, and no file of the store is mapped.

mod support;

use attentionstore_store::{Found, Part, Store};
use support::*;

#[test]
fn records_come_back_from_their_tables_in_the_order_of_their_keys() {
    let folder = folder();
    let store = start(folder.path());
    assert_eq!(store.open_now().unwrap(), Found::Nothing);
    let (one, other) = (store.table("one"), store.table("other"));
    let put = [
        (one, &b"b"[..], Some(&b"2"[..])),
        (one, b"a", Some(b"1")),
        (other, b"a", Some(b"3")),
        (one, b"c", Some(b"4")),
    ];
    commit(&store, batch(&put), Part::Change).unwrap();
    commit(&store, batch(&[(one, b"c", None), (one, b"a", Some(b"")), (one, b"absent", None)]), Part::Change)
        .unwrap();
    store.close();
    let again = start(folder.path());
    assert_eq!(again.open_now().unwrap(), Found::Kept { is_whole: true });
    // Numbers are given in the order in which the tables are named; the names decide.
    let (other, one) = (again.table("other"), again.table("one"));
    assert_eq!(again.table("one"), one);
    let expected = Records::from([(b"a".to_vec(), vec![]), (b"b".to_vec(), b"2".to_vec())]);
    assert_eq!(read(&again, one).unwrap(), (expected, 0));
    assert_eq!(read(&again, other).unwrap().0, Records::from([(b"a".to_vec(), b"3".to_vec())]));
}

#[test]
fn a_table_of_many_pages_is_read_to_its_end_with_commits_in_between() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    let table = store.table("many");
    let records: Records = (0..3000_u32).map(|i| (i.to_be_bytes().to_vec(), vec![i as u8; 400])).collect();
    let operations: Vec<_> =
        records.iter().map(|(key, value)| (table, key.as_slice(), Some(value.as_slice()))).collect();
    commit(&store, batch(&operations), Part::Change).unwrap();
    let first = store.page(table, None).unwrap();
    assert!(first.len() < 512 << 10, "{} bytes in a page", first.len());
    let last = attentionstore_store::packed::records(&first).last().unwrap().0.to_vec();
    let (gone, next) = (3000_u32.to_be_bytes(), 1 + u32::from_be_bytes(last.as_slice().try_into().unwrap()));
    // The page that was read ahead has the record that goes now.
    commit(&store, batch(&[(table, &next.to_be_bytes(), None), (table, &gone, Some(b"new"))]), Part::Change)
        .unwrap();
    let second = store.page(table, Some(last)).unwrap();
    assert_eq!(attentionstore_store::packed::records(&second).next().unwrap().0, (next + 1).to_be_bytes());
    let (found, _) = read(&store, table).unwrap();
    assert_eq!(found.len(), 3000);
    assert_eq!(found[gone.as_slice()], b"new");
}

#[test]
fn a_rewrite_replaces_all_records_at_its_end_and_none_before() {
    let folder = folder();
    let table = |store: &Store| store.table("a");
    let store = start(folder.path());
    store.open_now().unwrap();
    commit(&store, batch(&[(table(&store), b"old", Some(b"1"))]), Part::Change).unwrap();
    commit(&store, batch(&[(table(&store), b"new", Some(b"2"))]), Part::First).unwrap();
    commit(&store, batch(&[(table(&store), b"newer", Some(b"3"))]), Part::Next).unwrap();
    let copied = support::folder();
    std::fs::create_dir(copied.path().join("store")).unwrap();
    for entry in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copied.path().join("store").join(entry.file_name())).unwrap();
    }
    let crashed = start(copied.path());
    crashed.open_now().unwrap();
    assert_eq!(read(&crashed, table(&crashed)).unwrap().0, Records::from([(b"old".to_vec(), b"1".to_vec())]));
    commit(&store, batch(&[(table(&store), b"newest", Some(b"4"))]), Part::Last).unwrap();
    let keys = [&b"new"[..], b"newer", b"newest"].map(<[u8]>::to_vec);
    assert!(read(&store, table(&store)).unwrap().0.keys().eq(&keys));
}

#[test]
fn a_rewrite_that_was_not_begun_is_refused() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    let table = store.table("a");
    for part in [Part::Next, Part::Last] {
        let outcome = commit(&store, batch(&[(table, b"key", Some(b"value"))]), part);
        assert_eq!(outcome.unwrap_err().code(), "store_invalid");
    }
    assert_eq!(read(&store, table).unwrap().0, Records::new());
}

#[test]
fn a_store_that_was_begun_anew_is_whole_when_it_was_rewritten() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    let aside = folder.path().join("store.damaged");
    let expected = Found::Damaged { detail: "by the test".into(), aside: Some(aside.clone()) };
    assert_eq!(begin_anew(&store, true).unwrap(), expected);
    assert!(aside.join("records.sqlite").is_file());
    store.close();
    let again = start(folder.path());
    assert_eq!(again.open_now().unwrap(), Found::Kept { is_whole: false });
    commit(&again, batch(&[]), Part::First).unwrap();
    commit(&again, batch(&[]), Part::Last).unwrap();
    again.close();
    let last = start(folder.path());
    assert_eq!(last.open_now().unwrap(), Found::Kept { is_whole: true });
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let sender = sender.clone();
        last.remove_aside(move |outcome| sender.send(outcome).unwrap());
    }
    assert_eq!([receiver.recv().unwrap().unwrap(), receiver.recv().unwrap().unwrap()], [true, false]);
    assert!(!aside.exists());
}

#[test]
fn of_the_stores_that_were_set_aside_the_last_one_is_kept() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    std::fs::write(folder.path().join("store/mark"), "first").unwrap();
    begin_anew(&store, true).unwrap();
    std::fs::write(folder.path().join("store/mark"), "second").unwrap();
    begin_anew(&store, true).unwrap();
    assert_eq!(std::fs::read(folder.path().join("store.damaged/mark")).unwrap(), b"second");
    begin_anew(&store, false).unwrap();
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["store", "store.damaged"]);
}

#[test]
fn no_file_of_a_store_is_mapped_and_its_owner_alone_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    let table = store.table("a");
    for i in 0..200_u32 {
        commit(&store, batch(&[(table, &i.to_be_bytes(), Some(&[1; 5000]))]), Part::Change).unwrap();
    }
    read(&store, table).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let own = folder.path().to_str().unwrap();
    assert!(!maps.contains(own), "{maps}");
    for entry in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
        assert_ne!(entry.file_name(), "records.sqlite-shm");
    }
}

#[test]
fn a_record_that_was_removed_leaves_no_bytes_in_the_files_of_a_closed_store() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    let table = store.table("a");
    // Keys are not sealed: they can be looked for.
    let key = b"a key that nothing else looks like";
    commit(&store, batch(&[(table, key, Some(b"value")), (table, b"other", Some(b"value"))]), Part::Change)
        .unwrap();
    commit(&store, batch(&[(table, key, None)]), Part::Change).unwrap();
    store.close();
    let bytes = std::fs::read(folder.path().join("store/records.sqlite")).unwrap();
    assert!(!bytes.windows(key.len()).any(|window| window == key));
    assert!(!folder.path().join("store/records.sqlite-wal").exists());
}

#[test]
fn after_close_every_command_is_answered() {
    let folder = folder();
    let store = start(folder.path());
    store.open_now().unwrap();
    store.close();
    store.close();
    assert_eq!(commit(&store, batch(&[]), Part::Change).unwrap_err().code(), "store_closed");
    assert_eq!(store.open_now().unwrap_err().code(), "store_closed");
    assert_eq!(store.page(0, None).unwrap_err().code(), "store_closed");
}
