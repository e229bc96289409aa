//! What every backend must do, and what is the CPU's own: what it refuses, how its streams and events behave.

mod contract_cases;
mod cpu_support;

use std::sync::mpsc;

use attentionstore_kv::KvDtype;
use attentionstore_model::ModelError;
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions, Isa};
use attentionstore_model::backend::{Backend, SliceCopy, Stream};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::weights::WeightDtype;

use crate::cpu_support::models::{config, weights};
use crate::cpu_support::{backend, isas, options};

fn tiny() -> CpuBackend {
    backend(&config(), &weights(&config(), 3, &[WeightDtype::F32]), options())
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $(#[test]
        fn $case() {
            contract_cases::$case(&mut tiny());
        })+
    };
}

cases! {
    a_batch_that_names_what_does_not_exist_is_an_error,
    a_failed_batch_leaves_the_backend_usable,
    copies_that_name_what_does_not_exist_are_errors,
    scores_are_those_of_the_raw_logits_of_their_rows,
    samples_come_in_the_order_of_the_requests_whatever_rows_they_name,
    a_mask_holds_for_its_request_alone_and_leaves_the_logits_raw,
    completions_come_in_order_and_tell_of_success,
    slices_come_back_as_they_went_and_forks_take_exactly_their_rows,
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
fn a_stream_waits_for_an_event_of_another_and_runs_in_order() {
    let mut backend = tiny();
    let (open_gate, gate) = mpsc::channel::<()>();
    let (say, said) = mpsc::channel::<&str>();
    let teller = |text: &'static str| {
        let say = say.clone();
        Box::new(move |_| say.send(text).expect("the test listens"))
    };
    // The save stream stops at a gate; the load stream waits for it.
    backend.notify(Stream::Save, Box::new(move |_| gate.recv().expect("the test opens the gate")));
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
    backend.notify(Stream::Load, Box::new(|_| panic!("expected by the test")));
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
fn the_layout_is_the_model_s_and_keys_lie_by_dim() {
    let options = CpuOptions { kv_dtype: KvDtype::F32, ..options() };
    let backend = backend(&config(), &weights(&config(), 3, &[WeightDtype::F32]), options);
    let layout = backend.layout();
    assert_eq!((layout.layers, layout.kv_heads, layout.head_dim), (2, 2, 16));
    assert_eq!(layout.slice_bytes(), 2 * 64 * 2 * 16 * 4);
    assert_eq!((backend.slots(), backend.max_batch_tokens()), (16, 192));
}
