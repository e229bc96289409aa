//! The same plan gives the same bits: wherever its blocks lie, and whatever tier its history came from.

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_kv::arena::HostArena;
use attentionstore_model::backend::{Backend, SliceCopy, Stream};
use attentionstore_model::weights::WeightDtype;
use std::sync::Arc;

use crate::cpu_support::models::{Random, weights};
use crate::cpu_support::{Sequence, assert_same_bits, step};
use crate::support::{card, config};

const HISTORY: usize = 3 * BLOCK_TOKENS;

/// Logits of what follows the history, in a step of 70 tokens, one of 20 and three of one.
fn continued(backend: &mut dyn Backend, tokens: &[u32], slots: &[u32]) -> Vec<Vec<f32>> {
    let mut sequences = [Sequence { done: HISTORY, ..Sequence::new(tokens, slots) }];
    for count in [70, 20, 1, 1, 1] {
        step(backend, &mut sequences, &[count]);
    }
    let [sequence] = sequences;
    sequence.logits
}

/// Copies the slices of `slots` to or from `arena`, and waits for it.
fn move_blocks(backend: &mut dyn Backend, stream: Stream, slots: &[u32], arena: &HostArena) {
    let (layout, base) = (backend.layout(), arena.base().as_ptr());
    let copies: Vec<SliceCopy> = (0..layout.layers)
        .flat_map(|layer| slots.iter().enumerate().map(move |(block, &slot)| (layer, block, slot)))
        .map(|(layer, block, slot)| {
            let offset = block * layout.host_slot_bytes() + layout.slice_offset(layer);
            // SAFETY: the arena holds all blocks.
            SliceCopy { layer: layer as u32, slot, host: unsafe { base.add(offset) } }
        })
        .collect();
    backend.copy(stream, &copies).unwrap();
    let event = backend.record(stream);
    backend.synchronize(event);
}

#[test]
fn a_history_from_host_memory_gives_the_bits_of_one_that_never_left_the_card() {
    let Some(card) = card("a_history_from_host_memory_gives_the_bits") else { return };
    let weights = weights(&config(), 5, &[WeightDtype::F32]);
    let tokens = Random(12).tokens(HISTORY + 93, config().vocab_size);
    // Not registered, registered at once, and with a border at every page of a slot.
    for part_bytes in [None, Some(1 << 30), Some(4096)] {
        let mut backend = card.backend(&config(), &weights, 16, 192);
        let arena = Arc::new(HostArena::new(4 * backend.layout().host_slot_bytes()).unwrap());
        if let Some(part_bytes) = part_bytes {
            arena.commit_all().unwrap();
            let pinned = backend.pin_in_parts(arena.clone(), part_bytes);
            pinned.register(0..arena.len()).unwrap();
        }
        let (first, second) = ([9, 2, 14, 0, 5], [1, 12, 3, 8, 10]);
        let mut history = [Sequence::new(&tokens, &first)];
        step(&mut backend, &mut history, &[HISTORY]);
        let stayed = continued(&mut backend, &tokens, &first);
        move_blocks(&mut backend, Stream::Save, &first[..3], &arena);
        move_blocks(&mut backend, Stream::Load, &second[..3], &arena);
        let came_back = continued(&mut backend, &tokens, &second);
        assert_same_bits("from host memory", &came_back, &stayed);
    }
}

/// A decode shape runs plainly, is recorded, and is then launched as a graph, also with another row beside it.
#[test]
fn recorded_layers_give_the_bits_of_layers_that_are_enqueued() {
    let Some(card) = card("recorded_layers_give_the_bits_of_layers_that_are_enqueued") else { return };
    let weights = weights(&config(), 8, &[WeightDtype::F32]);
    let mut backend = card.backend(&config(), &weights, 16, 192);
    let tokens = Random(14).tokens(131, config().vocab_size);
    let mut sequences = [Sequence::new(&tokens, &[4, 9, 1]), Sequence::new(&tokens, &[0, 2, 11])];
    step(&mut backend, &mut sequences, &[130, 0]);
    step(&mut backend, &mut sequences, &[0, 130]);
    let mut decoded = |counts: &[usize]| {
        let mut again = sequences.clone();
        step(&mut backend, &mut again, counts);
        again.iter().filter_map(|sequence| sequence.logits.get(130).cloned()).collect::<Vec<_>>()
    };
    for counts in [[1, 0], [1, 1]] {
        let plain = decoded(&counts);
        for launched in ["recorded", "launched", "launched again"] {
            assert_same_bits(launched, &decoded(&counts), &plain);
        }
    }
}

#[test]
fn the_same_steps_twice_give_the_same_bits() {
    let Some(card) = card("the_same_steps_twice_give_the_same_bits") else { return };
    let weights = weights(&config(), 6, &[WeightDtype::Bf16]);
    let mut backend = card.backend(&config(), &weights, 16, 192);
    let tokens = Random(13).tokens(150, config().vocab_size);
    let mut run = |slots: &[u32]| {
        let mut sequences = [Sequence::new(&tokens, slots)];
        for count in [100, 30, 1, 1] {
            step(&mut backend, &mut sequences, &[count]);
        }
        sequences[0].logits.clone()
    };
    let first = run(&[0, 1, 2]);
    assert_same_bits("again elsewhere", &run(&[15, 7, 3]), &first);
}
