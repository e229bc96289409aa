//! What the backend refuses, and how its streams and events behave.

mod cpu_support;

use std::sync::mpsc;

use attentionstore_kv::KvDtype;
use attentionstore_model::ModelError;
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions, Isa};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted, SliceCopy, Stream};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::sampling::{SampleRequest, SamplingParams, TokenCounts};
use attentionstore_model::weights::WeightDtype;

use crate::cpu_support::models::{config, weights};
use crate::cpu_support::{backend, isas, options};

fn tiny() -> CpuBackend {
    backend(&config(), &weights(&config(), 3, &[WeightDtype::F32]), options())
}

fn sequence<'a>(tokens: &'a [u32], position: u32, slots: &'a [u32]) -> BatchSequence<'a> {
    BatchSequence { tokens, position, slots, logits: LogitsWanted::Last }
}

fn assert_invalid(what: &str, outcome: Result<(), ModelError>) {
    assert!(matches!(outcome, Err(ModelError::Invalid { .. })), "{what}: {outcome:?}");
}

#[test]
fn a_batch_that_names_what_does_not_exist_is_an_error() {
    let mut backend = tiny();
    let many = vec![0; 193];
    let slots: Vec<u32> = (0..16).collect();
    let cases = [
        ("no tokens", vec![sequence(&[], 0, &[0])]),
        ("a token outside the vocabulary", vec![sequence(&[101], 0, &[0])]),
        ("a slot out of range", vec![sequence(&[1], 0, &[16])]),
        ("no slot for the position", vec![sequence(&[1], 64, &[0])]),
        ("more rows than fit", vec![sequence(&many, 0, &slots)]),
        ("a position beyond the context", vec![sequence(&[1], 1024, &slots)]),
        ("a position that overflows", vec![sequence(&[1], u32::MAX, &slots)]),
        ("a slot written twice", vec![sequence(&[1], 0, &[4]), sequence(&[1], 0, &[4])]),
    ];
    for (what, batch) in cases {
        assert_invalid(what, backend.begin_step(&batch));
    }
    backend.begin_step(&[sequence(&[1], 0, &[0])]).unwrap();
    assert_invalid("a layer that is not there", backend.run_layer(2));
    assert_invalid("too short a row", backend.read_logits(0, &mut [0.0; 3]));
    assert_invalid("a logit row that is not there", backend.read_logits(1, &mut [0.0; 101]));
    assert_invalid("rows beyond a block", backend.copy_rows(0, 1, 65));
    assert_invalid("a slot that is not there", backend.copy_rows(0, 16, 1));
}

#[test]
fn a_failed_batch_leaves_the_backend_usable() {
    let mut backend = tiny();
    assert!(backend.begin_step(&[sequence(&[999], 0, &[0])]).is_err());
    backend.begin_step(&[sequence(&[1, 2], 0, &[0])]).unwrap();
    (0..2).for_each(|layer| backend.run_layer(layer).unwrap());
    let mut logits = [0.0; 101];
    backend.read_logits(0, &mut logits).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()));
}

#[test]
fn a_backend_that_cannot_be_is_an_error() {
    let shape = config();
    let right = weights(&shape, 3, &[WeightDtype::F32]);
    let refused = |config: ModelConfig, options: CpuOptions| {
        matches!(CpuBackend::new(config, &right, options), Err(ModelError::Invalid { .. }))
    };
    assert!(refused(ModelConfig { hidden: 65, ..shape.clone() }, options()), "weights of another width");
    assert!(refused(ModelConfig { layers: 3, ..shape.clone() }, options()), "a layer too few");
    assert!(refused(ModelConfig { kv_heads: 3, ..shape.clone() }, options()), "heads that do not divide");
    assert!(refused(ModelConfig { kv_heads: 0, ..shape.clone() }, options()), "no heads");
    assert!(refused(ModelConfig { rotary_dim: 18, ..shape.clone() }, options()), "rotary wider than a head");
    assert!(refused(shape.clone(), CpuOptions { threads: 0, ..options() }), "no threads");
    assert!(refused(shape.clone(), CpuOptions { slots: 0, ..options() }), "no slots");
    for isa in [Isa::Avx2, Isa::Avx512] {
        if !isas().contains(&isa) {
            let outcome = CpuBackend::new(shape.clone(), &right, CpuOptions { isa: Some(isa), ..options() });
            assert!(matches!(outcome, Err(ModelError::Device { .. })), "{}", isa.name());
        }
    }
}

#[test]
fn copies_that_name_what_does_not_exist_are_errors() {
    let mut backend = tiny();
    let mut host = vec![0u8; backend.layout().slice_bytes()];
    let good = SliceCopy { layer: 0, slot: 0, host: host.as_mut_ptr() };
    let bad = [
        SliceCopy { layer: 2, ..good },
        SliceCopy { slot: 16, ..good },
        SliceCopy { host: std::ptr::null_mut(), ..good },
    ];
    for copy in bad {
        assert_invalid("a bad copy", backend.copy(Stream::Load, &[good, copy]));
    }
    assert_invalid("a copy on the compute stream", backend.copy(Stream::Compute, &[good]));
    backend.copy(Stream::Save, &[good]).unwrap();
    let event = backend.record(Stream::Save);
    backend.synchronize(event);
}

#[test]
fn a_stream_waits_for_an_event_of_another_and_runs_in_order() {
    let mut backend = tiny();
    let (open_gate, gate) = mpsc::channel::<()>();
    let (say, said) = mpsc::channel::<&str>();
    let teller = |text: &'static str| {
        let say = say.clone();
        Box::new(move || say.send(text).expect("the test listens"))
    };
    // The save stream stops at a gate; the load stream waits for it.
    backend.notify(Stream::Save, Box::new(move || gate.recv().expect("the test opens the gate")));
    backend.notify(Stream::Save, teller("saved"));
    let saved = backend.record(Stream::Save);
    backend.wait(Stream::Load, saved);
    backend.notify(Stream::Load, teller("loaded"));
    let loaded = backend.record(Stream::Load);
    backend.notify(Stream::Compute, teller("computed"));
    assert!(!backend.is_done(saved) && !backend.is_done(loaded));
    let computed = backend.record(Stream::Compute);
    assert!(backend.is_done(computed));
    open_gate.send(()).unwrap();
    backend.wait(Stream::Compute, loaded);
    assert!(backend.is_done(saved) && backend.is_done(loaded));
    assert_eq!(said.try_iter().collect::<Vec<&str>>(), ["computed", "saved", "loaded"]);
}

#[test]
fn a_callback_that_panics_hangs_nobody_and_is_told_at_the_next_copy() {
    let mut backend = tiny();
    backend.notify(Stream::Load, Box::new(|| panic!("expected by the test")));
    let event = backend.record(Stream::Load);
    backend.synchronize(event);
    let mut host = vec![0u8; backend.layout().slice_bytes()];
    let copy = SliceCopy { layer: 0, slot: 0, host: host.as_mut_ptr() };
    assert!(matches!(backend.copy(Stream::Load, &[copy]), Err(ModelError::Device { .. })));
    backend.copy(Stream::Save, &[copy]).unwrap();
    let event = backend.record(Stream::Save);
    backend.synchronize(event);
}

#[test]
fn samples_come_in_the_order_of_the_requests_whatever_rows_they_name() {
    let mut backend = tiny();
    let tokens: Vec<u32> = (0..40).collect();
    let all = BatchSequence { tokens: &tokens, position: 0, slots: &[0], logits: LogitsWanted::All };
    backend.begin_step(&[all]).unwrap();
    (0..2).for_each(|layer| backend.run_layer(layer).unwrap());
    let params = SamplingParams::greedy();
    let counts = TokenCounts::default();
    let request = |row| SampleRequest { row, params: &params, counts: &counts, token_index: 0, banned: &[] };
    let rows = [39, 0, 17, 3, 17];
    let sampled = backend.sample(&rows.map(request)).unwrap();
    for (row, sampled) in rows.into_iter().zip(sampled) {
        let mut logits = vec![0.0; 101];
        backend.read_logits(row, &mut logits).unwrap();
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(logits[sampled.token as usize], greatest, "row {row}");
    }
    assert!(backend.sample(&[request(40)]).is_err());
}

#[test]
fn the_layout_is_the_model_s_and_keys_lie_by_dim() {
    let options = CpuOptions { kv_dtype: KvDtype::F32, ..options() };
    let backend = backend(&config(), &weights(&config(), 3, &[WeightDtype::F32]), options);
    let layout = backend.layout();
    assert_eq!((layout.layers, layout.kv_heads, layout.head_dim), (2, 2, 16));
    assert_eq!(layout.slice_bytes(), 2 * 64 * 2 * 16 * 4);
    assert_eq!((backend.slots(), backend.max_batch_tokens()), (16, 192));
}
