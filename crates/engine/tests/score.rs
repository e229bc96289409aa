//! Scores of a text through a view, held against what they must equal.

use std::path::PathBuf;

use attentionstore_engine::score::{Score, Scorer, Truncation, Way};
use attentionstore_engine::{EngineOptions, View};
use attentionstore_model::ModelSource;
use attentionstore_model::loader::random::RandomSpec;

const WINDOW: u32 = 256;
const STEP: u32 = 128;
const LENGTH: usize = 600;

/// Where there is one layer, keys and values say nothing of what came before.
const ONE_LAYER: &str = r#"{
    "model_type": "llama", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 512
}"#;

fn scorer() -> Scorer {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/models/llama/hf");
    scorer_of(ModelSource::Files(fixture))
}

fn scorer_of(model: ModelSource) -> Scorer {
    Scorer::open(&EngineOptions {
        model,
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
        load_checks: None,
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

fn way(head: u32, truncation: Truncation) -> Way {
    Way { view: view(head), truncation }
}

fn score(head: u32, truncation: Truncation) -> Vec<Score> {
    scorer().score(&text(), 1, &[way(head, truncation)]).unwrap().remove(0)
}

fn ways() -> [Way; 4] {
    [
        way(64, Truncation::Recompute),
        way(64, Truncation::Decoupled),
        way(64, Truncation::Coupled),
        way(0, Truncation::Decoupled),
    ]
}

#[test]
fn within_the_window_nothing_is_truncated() {
    let within = scorer().score(&text()[..=WINDOW as usize], 1, &ways()).unwrap();
    let [whole, others @ ..] = within.as_slice() else { panic!("no scores") };
    assert_eq!(whole.len(), WINDOW as usize);
    assert!(others.iter().all(|other| other == whole));
    for scores in scorer().score(&text(), 1, &ways()).unwrap() {
        assert_eq!(scores[..whole.len()], *whole);
    }
}

/// The scorer's own order of batches, slots and copies is nothing that a score depends on.
#[test]
fn ways_scored_together_from_some_token_on_score_as_each_alone_from_the_first() {
    for first in [1, 100, WINDOW, WINDOW + 1, 450] {
        let together = scorer().score(&text(), first, &ways()).unwrap();
        for (way, scores) in ways().into_iter().zip(together) {
            let alone = score(way.view.parameters()[1], way.truncation);
            assert_eq!(scores, alone[first as usize - 1..], "{way:?} from {first}");
        }
    }
}

#[test]
fn what_is_computed_anew_scores_as_the_sequence_that_it_then_is() {
    let scores = score(64, Truncation::Recompute);
    // Epochs begin at tokens 256, 384 and 512; the last sees the head and what lies behind 3 steps.
    for (from, left_out) in [(256, 128), (384, 256), (512, 384)] {
        let to = (from + STEP as usize).min(LENGTH - 1);
        let kept = [&text()[..64], &text()[64 + left_out..=to]].concat();
        let view = View::new([WINDOW + 64, 64, 64]).unwrap();
        let alone = scorer().score(&kept, 1, &[Way { view, truncation: Truncation::Recompute }]).unwrap();
        assert_eq!(scores[from..to], alone[0][from - left_out..], "from token {from}");
    }
}

#[test]
fn each_way_of_truncating_differs_from_the_others_as_soon_as_something_is_left_out() {
    let all = scorer().score(&text(), 1, &ways()).unwrap();
    let at = WINDOW as usize + 1;
    for (index, one) in all.iter().enumerate() {
        assert_eq!(one.len(), LENGTH - 1);
        assert!(one.iter().all(|score| score.nll.is_finite() && score.nll > 0.0));
        for other in &all[index + 1..] {
            assert_ne!(one[at..at + 20], other[at..at + 20]);
        }
    }
}

/// What is computed anew there is what was stored, to the bit, if both see the same tokens at the same places.
#[test]
fn with_one_layer_stored_kv_scores_as_if_computed_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("config.json"), ONE_LAYER).expect("it can be written");
    let shape = directory.path().to_string_lossy().into_owned();
    let mut scorer = scorer_of(ModelSource::Random(RandomSpec { shape, seed: 5 }));
    let scores = scorer.score(&text(), 1, &ways()).unwrap();
    let [anew, stored, coupled, headless] = scores.as_slice() else { panic!("no scores") };
    assert_eq!(stored, anew);
    for other in [coupled, headless] {
        assert_eq!(other[..WINDOW as usize], anew[..WINDOW as usize]);
        assert_ne!(other[WINDOW as usize..], anew[WINDOW as usize..]);
    }
}

#[test]
fn a_window_that_hbm_does_not_hold_and_nothing_to_score_are_refused() {
    let mut scorer = scorer();
    let [way, ..] = ways();
    assert!(scorer.score(&text()[..1], 1, &[way]).is_err());
    assert!(scorer.score(&text(), 0, &[way]).is_err());
    assert!(scorer.score(&text(), LENGTH as u32, &[way]).is_err());
    assert!(scorer.score(&text(), 1, &[]).is_err());
    let wide = Way { view: View::new([64 * 1024, 64, 64]).unwrap(), ..way };
    assert!(scorer.score(&text(), 1, &[wide]).is_err());
    let wider = Way { view: View::new([WINDOW + 64, 64, 64]).unwrap(), ..way };
    assert!(scorer.score(&text(), 1, &[way, wider]).is_err());
}
