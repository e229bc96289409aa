//! The default model, where it is there: its logits against the CPU's over a thousand tokens of text.

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::Backend;
use attentionstore_model::backend::cpu::CpuOptions;
use attentionstore_model::load;
use attentionstore_model::text::{Specials, TextModel};

use crate::cpu_support::{Agreement, backend, logits};
use crate::default_model_support::default_model;
use crate::support::card;

const TOKENS: usize = 1000;
/// English prose that is always there.
const TEXT: &str = concat!(
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/design/cuda.md"),
    include_str!("../../../../docs/design/engine.md"),
);

/// Names a file of text to compute in place of this project's own pages.
const TEXT_VARIABLE: &str = "ATTENTIONSTORE_TEST_TEXT";

fn prose() -> String {
    let Some(path) = std::env::var_os(TEXT_VARIABLE) else { return TEXT.to_owned() };
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()))
}

#[test]
fn the_default_model_s_logits_are_the_cpu_s_and_differ_in_the_best_token_only_at_near_ties() {
    let test = "the_default_model_s_logits_are_the_cpu_s";
    let Some(card) = card(test) else { return };
    let Some(path) = default_model() else {
        println!("skipped: the default model is not there");
        return;
    };
    let model = load(&path, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
    let text = TextModel::from_loaded(&model).unwrap_or_else(|error| panic!("{error}"));
    let tokens = text.tokenizer.encode(&prose(), Specials::Plain).unwrap()[..TOKENS].to_vec();
    let (slots, rows) = (TOKENS.div_ceil(64), 512);
    let table: Vec<u32> = (0..slots as u32).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let cpu = CpuOptions { threads, max_batch_tokens: rows, slots, kv_dtype: KvDtype::Bf16, isa: None };
    let reference = logits(&mut backend(&model.config, &model.weights, cpu), &tokens, &table, rows);
    let mut on_card = card.backend(&model.config, &model.weights, slots as u64, rows);
    println!("{}", on_card.describe());
    for (name, chunk) in [("one chunk of 512 and the rest", rows), ("chunks of 40", 40)] {
        let found = logits(&mut on_card, &tokens, &table, chunk);
        check(name, &found, &reference);
    }
}

fn check(name: &str, found: &[Vec<f32>], reference: &[Vec<f32>]) {
    let agreement = Agreement::of(found, reference);
    println!(
        "{name}: distance {:.2e}, same best token {:.1} %",
        agreement.distance,
        100.0 * agreement.same()
    );
    assert!(agreement.holds(2e-2), "{name}: {agreement:?}");
    assert!(agreement.same() >= 0.98, "{name}: {agreement:?}");
}
