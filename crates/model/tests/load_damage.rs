//! Damaged files of any kind give an error or a model that can be walked over: never a panic, and never memory out
//! of proportion to the file.

mod fixtures;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use attentionstore_model::LoadedModel;
use attentionstore_model::text::TextModel;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fixtures::{Copy, as_file, gguf_file, hugging_face, try_load};

/// Counts what this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grew(bytes: usize) {
    // Gone while the thread ends; nothing is measured then.
    let _ = HELD.try_with(|held| {
        held.set(held.get().wrapping_add(bytes));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn shrank(bytes: usize) {
    // What another thread allocated may be freed here.
    let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(bytes)));
}

// SAFETY: everything is handed on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrank(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Loads, walks over whatever came of it, and holds the memory against the size of all files.
fn load_and_walk(path: &Path, file_bytes: usize) {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let loaded = try_load(path);
    let used = PEAK.with(Cell::get) - before;
    assert!(used <= 16 * file_bytes + (64 << 10), "{used} bytes held for files of {file_bytes}");
    match loaded {
        Ok(model) => {
            walk(&model);
            // The text side reads metadata of the same file.
            if let Err(error) = TextModel::from_loaded(&model) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn walk(model: &LoadedModel) {
    for tensor in model.weights.tensors() {
        let mut row = vec![0.0; tensor.columns];
        tensor.dequantize_row(0, &mut row);
        tensor.dequantize_row(tensor.rows - 1, &mut row);
    }
    assert_eq!(model.config.inverse_frequencies().len(), model.config.rotary_dim / 2);
    assert!(model.generation.eos_ids.iter().all(|&id| (id as usize) < model.config.vocab_size));
}

/// One way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Byte {
        at: usize,
        value: u8,
    },
    /// Counts and offsets are eight bytes long; these are the values they go wrong with.
    Word {
        at: usize,
        value: u64,
    },
    Cut {
        length: usize,
    },
    Doubled {
        from: usize,
        length: usize,
    },
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match *self {
            Damage::Byte { at, value } => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            Damage::Word { at, value } => {
                if let Some(word) = bytes.get_mut(at..at + 8) {
                    word.copy_from_slice(&value.to_le_bytes());
                }
            }
            Damage::Cut { length } => bytes.truncate(length),
            Damage::Doubled { from, length } => {
                let end = (from + length).min(bytes.len());
                let piece = bytes.get(from..end).unwrap_or_default().to_vec();
                bytes.splice(end..end, piece);
            }
        }
    }
}

/// Damage within the first `length` bytes.
fn damage(length: usize) -> impl Strategy<Value = Damage> {
    let words = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 63),
        Just(1 << 32),
        Just(u64::from(u32::MAX)),
        0..u64::try_from(4 * length).unwrap_or(u64::MAX),
        any::<u64>(),
    ];
    prop_oneof![
        4 => (0..length, any::<u8>()).prop_map(|(at, value)| Damage::Byte { at, value }),
        4 => (0..length, words).prop_map(|(at, value)| Damage::Word { at, value }),
        1 => (0..length).prop_map(|length| Damage::Cut { length }),
        1 => (0..length, 1..64usize).prop_map(|(from, length)| Damage::Doubled { from, length }),
    ]
}

/// Runs `check` on `cases` lists of damage; a failure prints the smallest list that still fails.
fn for_damage(cases: u32, length: usize, check: impl Fn(Vec<Damage>)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(damage(length), 1..4), |list| {
            check(list);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Bytes before the first tensor's data.
fn gguf_header(bytes: &[u8]) -> usize {
    let name = b"output_norm.weight";
    let last = bytes.windows(name.len()).rposition(|window| window == name).expect("a last tensor");
    last + 64
}

#[test]
fn damaged_gguf_files_never_panic_or_take_memory() {
    for name in ["llama", "qwen2-k"] {
        let whole = fs::read(gguf_file(name)).expect("fixture");
        let header = gguf_header(&whole);
        assert!(header < 20_000, "the header is small: {header}");
        for_damage(400, header, |list| {
            let mut bytes = whole.clone();
            list.iter().for_each(|damage| damage.apply(&mut bytes));
            if bytes.is_empty() {
                return;
            }
            let (_folder, path) = as_file(&bytes);
            load_and_walk(&path, bytes.len());
        });
    }
}

#[test]
fn gguf_files_cut_anywhere_never_panic() {
    let whole = fs::read(gguf_file("llama")).expect("fixture");
    let (_folder, path) = as_file(&whole);
    for length in (1..gguf_header(&whole)).step_by(37).chain([whole.len() - 33]) {
        fs::write(&path, &whole[..length]).expect("write");
        assert!(try_load(&path).is_err(), "a file of {length} bytes was loaded");
    }
}

#[test]
fn damaged_files_of_a_directory_never_panic_or_take_memory() {
    let total: u64 = fs::read_dir(hugging_face("mistral"))
        .expect("fixture")
        .map(|entry| entry.expect("entry").metadata().expect("size").len())
        .sum();
    for (name, cases) in [
        ("config.json", 200),
        ("model.safetensors.index.json", 150),
        ("model-00001-of-00003.safetensors", 200),
        ("generation_config.json", 60),
        ("tokenizer_config.json", 60),
        ("tokenizer.json", 150),
    ] {
        let copy = Copy::of("mistral");
        let whole = fs::read(copy.file(name)).expect("fixture");
        for_damage(cases, whole.len().min(5000), |list| {
            let mut bytes = whole.clone();
            list.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(copy.file(name), &bytes).expect("write");
            load_and_walk(copy.path(), total as usize);
        });
    }
}
