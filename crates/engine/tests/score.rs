//! Scores of a text through a view, held against what they must equal.

use std::path::PathBuf;

use attentionstore_engine::score::{Score, Scorer, Truncation};
use attentionstore_engine::{EngineOptions, View};
use attentionstore_model::ModelSource;

const WINDOW: u32 = 256;
const STEP: u32 = 128;
const LENGTH: usize = 600;

fn scorer() -> Scorer {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/models/llama/hf");
    Scorer::open(&EngineOptions {
        model: ModelSource::Files(fixture),
        device: "cpu".into(),
        kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
        threads: 2,
        max_batch_tokens: 100,
        hbm_bytes: 32 * 64 * 1024,
        dram_bytes: 0,
        ssd_bytes: 0,
        ssd_dir: None,
        data_dir: None,
        ssd_read_limit: None,
        ssd_write_limit: None,
        preload_layers: None,
        kv_dtype: "bf16".into(),
        instruction_set: None,
    })
    .expect("the fixture loads")
}

fn text() -> Vec<u32> {
    (0..LENGTH as u32).map(|index| 3 + index * index * 7 % 241).collect()
}

fn view(head: u32) -> View {
    View::scored([WINDOW, head, STEP]).unwrap()
}

fn score(head: u32, truncation: Truncation) -> Vec<Score> {
    scorer().score(&text(), view(head), truncation).unwrap()
}

#[test]
fn within_the_window_nothing_is_truncated() {
    let whole = scorer().score(&text()[..=WINDOW as usize], view(64), Truncation::Decoupled).unwrap();
    assert_eq!(whole.len(), WINDOW as usize);
    for truncation in [Truncation::Recompute, Truncation::Coupled] {
        assert_eq!(score(64, truncation)[..whole.len()], whole, "{truncation:?}");
    }
    assert_eq!(score(0, Truncation::Decoupled)[..whole.len()], whole);
}

#[test]
fn what_is_computed_anew_scores_as_the_sequence_that_it_then_is() {
    let scores = score(64, Truncation::Recompute);
    // Epochs begin at tokens 256, 384 and 512; the last sees the head and what lies behind 3 steps.
    for (from, left_out) in [(256, 128), (384, 256), (512, 384)] {
        let to = (from + STEP as usize).min(LENGTH - 1);
        let kept = [&text()[..64], &text()[64 + left_out..=to]].concat();
        let alone = scorer().score(&kept, View::new([WINDOW + 64, 64, 64]).unwrap(), Truncation::Recompute);
        assert_eq!(scores[from..to], alone.unwrap()[from - left_out..], "from token {from}");
    }
}

#[test]
fn each_way_of_truncating_differs_from_the_others_as_soon_as_something_is_left_out() {
    let all = [
        score(64, Truncation::Recompute),
        score(64, Truncation::Decoupled),
        score(64, Truncation::Coupled),
        score(0, Truncation::Decoupled),
    ];
    let at = WINDOW as usize + 1;
    for (index, one) in all.iter().enumerate() {
        assert_eq!(one.len(), LENGTH - 1);
        assert!(one.iter().all(|score| score.nll.is_finite() && score.nll > 0.0));
        for other in &all[index + 1..] {
            assert_ne!(one[at..at + 20], other[at..at + 20]);
        }
    }
}

#[test]
fn a_window_that_hbm_does_not_hold_and_a_text_of_one_token_are_refused() {
    let mut scorer = scorer();
    assert!(scorer.score(&text()[..1], view(64), Truncation::Decoupled).is_err());
    let wide = View::new([64 * 1024, 64, 64]).unwrap();
    assert!(scorer.score(&text(), wide, Truncation::Decoupled).is_err());
}
