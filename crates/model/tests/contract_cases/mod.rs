//! What every backend must do, whatever its device. The model is the one of `config`, with 16 slots and 192 rows
//! a step.

#![allow(dead_code, reason = "each backend's tests use what is possible there")]

use std::sync::mpsc;

use attentionstore_model::ModelError;
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted, SliceCopy, Stream};
use attentionstore_model::sampling::{
    SampleOutcome, SampleRequest, SamplingParams, ScoreRequest, TokenCounts, TokenMask, score,
};

pub const SLOTS: u32 = 16;
pub const ROWS: usize = 192;
const VOCABULARY: usize = 101;
const LAYERS: usize = 2;

pub fn sequence<'a>(tokens: &'a [u32], position: u32, slots: &'a [u32]) -> BatchSequence<'a> {
    BatchSequence { tokens, position, slots, logits: LogitsWanted::Last }
}

fn assert_invalid(what: &str, outcome: Result<(), ModelError>) {
    assert!(matches!(outcome, Err(ModelError::Invalid { .. })), "{what}: {outcome:?}");
}

fn run_layers(backend: &mut dyn Backend) {
    (0..LAYERS).for_each(|layer| backend.run_layer(layer).unwrap());
}

pub fn a_batch_that_names_what_does_not_exist_is_an_error(backend: &mut dyn Backend) {
    let many = vec![0; ROWS + 1];
    let slots: Vec<u32> = (0..SLOTS).collect();
    let cases = [
        ("no tokens", vec![sequence(&[], 0, &[0])]),
        ("a token outside the vocabulary", vec![sequence(&[101], 0, &[0])]),
        ("a slot out of range", vec![sequence(&[1], 0, &[SLOTS])]),
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
    assert_invalid("a layer that is not there", backend.run_layer(LAYERS));
    assert_invalid("too short a row", backend.read_logits(0, &mut [0.0; 3]));
    assert_invalid("a logit row that is not there", backend.read_logits(1, &mut [0.0; VOCABULARY]));
    assert_invalid("rows beyond a block", backend.copy_rows(0, 1, 65));
    assert_invalid("a slot that is not there", backend.copy_rows(0, SLOTS, 1));
}

pub fn a_failed_batch_leaves_the_backend_usable(backend: &mut dyn Backend) {
    assert!(backend.begin_step(&[sequence(&[999], 0, &[0])]).is_err());
    backend.begin_step(&[sequence(&[1, 2], 0, &[0])]).unwrap();
    run_layers(backend);
    let mut logits = [0.0; VOCABULARY];
    backend.read_logits(0, &mut logits).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()));
}

pub fn copies_that_name_what_does_not_exist_are_errors(backend: &mut dyn Backend) {
    let mut host = vec![0u8; backend.layout().slice_bytes()];
    let good = SliceCopy { layer: 0, slot: 0, host: host.as_mut_ptr() };
    let bad = [
        SliceCopy { layer: LAYERS as u32, ..good },
        SliceCopy { slot: SLOTS, ..good },
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

pub fn scores_are_those_of_the_raw_logits_of_their_rows(backend: &mut dyn Backend) {
    let tokens: Vec<u32> = (0..90).collect();
    let (others, slots) = ([7, 8], [3]);
    let all = BatchSequence { tokens: &tokens, position: 0, slots: &[0, 1], logits: LogitsWanted::All };
    let last = BatchSequence { tokens: &others, position: 0, slots: &slots, logits: LogitsWanted::Last };
    backend.begin_step(&[last, all]).unwrap();
    run_layers(backend);
    backend.sample(&[]).unwrap();
    // Not of every row, and the rows of one sequence behind those of another.
    let request = |row: usize| ScoreRequest { row, token: (row as u32 * 37) % 101, top: row as u32 % 5 };
    let requests: Vec<ScoreRequest> = (1..91).filter(|row| row % 7 != 3).map(request).collect();
    let scored = backend.score(&requests).unwrap();
    assert_eq!(scored.len(), requests.len());
    let near = |a: f32, b: f32| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
    for (request, found) in requests.iter().zip(&scored) {
        let mut logits = [0.0; VOCABULARY];
        backend.read_logits(request.row, &mut logits).unwrap();
        let wanted = score(&logits, request);
        assert!(near(found.logprob, wanted.logprob), "{request:?}: {found:?} {wanted:?}");
        assert_eq!(found.rank, wanted.rank, "{request:?}");
        let ids = |top: &[(u32, f32)]| top.iter().map(|(token, _)| *token).collect::<Vec<_>>();
        assert_eq!(ids(&found.top), ids(&wanted.top), "{request:?}");
        assert!(found.top.iter().zip(&wanted.top).all(|(a, b)| near(a.1, b.1)), "{found:?} {wanted:?}");
    }
    assert!(backend.score(&[]).unwrap().is_empty());
    assert!(backend.score(&[ScoreRequest { row: 91, token: 0, top: 0 }]).is_err());
}

pub fn samples_come_in_the_order_of_the_requests_whatever_rows_they_name(backend: &mut dyn Backend) {
    let tokens: Vec<u32> = (0..40).collect();
    let all = BatchSequence { tokens: &tokens, position: 0, slots: &[0], logits: LogitsWanted::All };
    backend.begin_step(&[all]).unwrap();
    run_layers(backend);
    let params = SamplingParams::greedy();
    let counts = TokenCounts::default();
    let request = |row| SampleRequest {
        row,
        params: &params,
        counts: &counts,
        token_index: 0,
        banned: &[],
        mask: None,
    };
    let rows = [39, 0, 17, 3, 17];
    let sampled = backend.sample(&rows.map(request)).unwrap();
    assert_eq!(sampled.len(), rows.len());
    for (row, outcome) in rows.into_iter().zip(sampled) {
        let sampled = outcome.token().expect("nothing is banned");
        let mut logits = vec![0.0; VOCABULARY];
        backend.read_logits(row, &mut logits).unwrap();
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(logits[sampled.token as usize], greatest, "row {row}");
    }
    assert!(backend.sample(&[request(40)]).is_err());
    assert!(backend.sample(&[]).unwrap().is_empty());
}

pub fn a_mask_holds_for_its_request_alone_and_leaves_the_logits_raw(backend: &mut dyn Backend) {
    let tokens: Vec<u32> = (0..40).collect();
    let all = BatchSequence { tokens: &tokens, position: 0, slots: &[0], logits: LogitsWanted::All };
    backend.begin_step(&[all]).unwrap();
    run_layers(backend);
    let (mut even, none) = (TokenMask::new(VOCABULARY), TokenMask::new(VOCABULARY));
    (0..VOCABULARY as u32).step_by(2).for_each(|token| even.allow(token));
    let counts = TokenCounts::default();
    for temperature in [0.0, 1.0] {
        let params = SamplingParams { temperature, logprobs: Some(3), ..SamplingParams::greedy() };
        let rows = [0, 7, 7, 12, 39];
        let mut with = |masks: [Option<&TokenMask>; 5]| -> Vec<SampleOutcome> {
            let requests: Vec<_> = rows
                .iter()
                .zip(masks)
                .map(|(&row, mask)| SampleRequest {
                    row,
                    params: &params,
                    counts: &counts,
                    token_index: 3,
                    banned: &[],
                    mask,
                })
                .collect();
            backend.sample(&requests).unwrap()
        };
        let plain = with([None; 5]);
        let mixed = with([Some(&even), Some(&even), None, Some(&none), None]);
        assert_eq!(mixed[2], plain[2], "its neighbour's mask lies over the same row");
        assert_eq!(mixed[3], SampleOutcome::NoneAllowed);
        assert_eq!(mixed[4], plain[4]);
        for at in [0, 1] {
            let (masked, plain) = (mixed[at].clone().token().unwrap(), plain[at].clone().token().unwrap());
            assert!(masked.token.is_multiple_of(2), "{masked:?}");
            assert_eq!(masked.top, plain.top, "log probabilities are of the raw logits");
        }
        let evens = with([Some(&even); 5]);
        assert!(evens.into_iter().all(|outcome| outcome.token().unwrap().token.is_multiple_of(2)));
        assert_eq!(with([None; 5]), plain, "no logit was changed");
    }
}

pub fn completions_come_in_order_and_tell_of_success(backend: &mut dyn Backend) {
    let (say, said) = mpsc::channel();
    let mut host = vec![7u8; backend.layout().slice_bytes()];
    let copy = SliceCopy { layer: 0, slot: 3, host: host.as_mut_ptr() };
    for stream in [Stream::Load, Stream::Save] {
        for number in 0..3 {
            backend.copy(stream, &[copy]).unwrap();
            let say = say.clone();
            let tell = move |outcome: Result<(), ModelError>| say.send((number, outcome.is_ok())).unwrap();
            backend.notify(stream, Box::new(tell));
        }
        let told: Vec<(i32, bool)> = said.iter().take(3).collect();
        assert_eq!(told, [(0, true), (1, true), (2, true)], "{stream:?}");
    }
}

/// What is written by a load, computed by a step and moved by `copy_rows` comes back by a save, byte for byte.
pub fn slices_come_back_as_they_went_and_forks_take_exactly_their_rows(backend: &mut dyn Backend) {
    let bytes = backend.layout().slice_bytes();
    let row = bytes / 128;
    let mut there: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    let mut other = vec![9u8; bytes];
    let (mut back, mut forked) = (vec![0u8; bytes], vec![0u8; bytes]);
    let slice = |layer, slot, host: &mut Vec<u8>| SliceCopy { layer, slot, host: host.as_mut_ptr() };
    backend.copy(Stream::Load, &[slice(0, 3, &mut there), slice(1, 3, &mut there)]).unwrap();
    backend.copy(Stream::Load, &[slice(0, 5, &mut other), slice(1, 5, &mut other)]).unwrap();
    let loaded = backend.record(Stream::Load);
    backend.wait(Stream::Compute, loaded);
    backend.copy_rows(3, 5, 10).unwrap();
    let copied = backend.record(Stream::Compute);
    backend.wait(Stream::Save, copied);
    backend.copy(Stream::Save, &[slice(1, 3, &mut back), slice(1, 5, &mut forked)]).unwrap();
    let saved = backend.record(Stream::Save);
    backend.synchronize(saved);
    assert!(backend.is_done(loaded) && backend.is_done(copied) && backend.is_done(saved));
    assert!(back == there);
    if backend.layout().order == attentionstore_kv::SliceOrder::TokensFirst {
        let half = bytes / 2;
        for (at, byte) in forked.iter().enumerate() {
            let wanted = if at % half < 10 * row { there[at] } else { 9 };
            assert_eq!(*byte, wanted, "byte {at}");
        }
    }
}
