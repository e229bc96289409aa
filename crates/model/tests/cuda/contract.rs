//! The contract of every backend, and what a card cannot compute.

use attentionstore_kv::{KvDtype, SliceOrder};
use attentionstore_model::ModelError;
use attentionstore_model::backend::Backend;
use attentionstore_model::backend::cuda::{CudaBackend, CudaOptions};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::weights::WeightDtype;

use crate::contract_cases::{self, ROWS, SLOTS};
use crate::cpu_support::models::weights;
use crate::support::{card, config};

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $(#[test]
        fn $case() {
            let Some(card) = card(stringify!($case)) else { return };
            let weights = weights(&config(), 3, &[WeightDtype::F32]);
            contract_cases::$case(&mut card.backend(&config(), &weights, u64::from(SLOTS), ROWS));
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

/// Needs no card: what cannot be computed is refused before one is opened.
#[test]
fn a_model_that_the_kernels_do_not_have_is_refused_with_its_numbers() {
    let right = weights(&config(), 3, &[WeightDtype::F32]);
    let options =
        CudaOptions { ordinal: 0, max_batch_tokens: 64, hbm_bytes: None, kernel_cache: std::env::temp_dir() };
    let refused = |config: ModelConfig, words: &str| {
        let error = CudaBackend::new(config, &right, &options).err().expect("that is not computed");
        assert!(matches!(error, ModelError::Invalid { .. }) && error.to_string().contains(words), "{error}");
    };
    refused(ModelConfig { head_dim: 80, rotary_dim: 80, ..config() }, "head dim 80");
    refused(ModelConfig { heads: 18, ..config() }, "18 query heads over 2 KV heads");
    refused(ModelConfig { rotary_dim: 32, ..config() }, "32 of 64 elements");
    refused(ModelConfig { hidden: 100, ..config() }, "hidden size 100 is no multiple of 8");
    refused(ModelConfig { intermediate: 90, ..config() }, "intermediate size 90");
    refused(ModelConfig { layers: 3, ..config() }, "2 layers, the configuration has 3");
}

/// Runs on every machine: one without a card says so in a sentence.
#[test]
fn a_card_that_is_not_there_is_an_error_of_the_device() {
    let right = weights(&config(), 3, &[WeightDtype::F32]);
    let options = CudaOptions {
        ordinal: 1000,
        max_batch_tokens: 64,
        hbm_bytes: None,
        kernel_cache: std::env::temp_dir(),
    };
    let error = CudaBackend::new(config(), &right, &options).err().expect("there are not so many cards");
    assert!(matches!(error, ModelError::Device { .. }), "{error}");
    assert!(error.to_string().starts_with("cuda:1000: "), "{error}");
}

#[test]
fn the_layout_is_the_model_s_with_tokens_first() {
    let Some(card) = card("the_layout_is_the_model_s_with_tokens_first") else { return };
    let backend = card.backend(&config(), &weights(&config(), 3, &[WeightDtype::F32]), 16, 192);
    let layout = backend.layout();
    assert_eq!((layout.layers, layout.kv_heads, layout.head_dim), (2, 2, 64));
    assert_eq!((layout.dtype, layout.order), (KvDtype::Bf16, SliceOrder::TokensFirst));
    assert_eq!((backend.slots(), backend.max_batch_tokens()), (16, 192));
    assert!(backend.describe().starts_with("cuda:0 ("), "{}", backend.describe());
    assert!(backend.numerics_id().starts_with("cuda-"), "{}", backend.numerics_id());
}

#[test]
fn slots_that_the_card_cannot_hold_are_refused_with_numbers() {
    let Some(_card) = card("slots_that_the_card_cannot_hold_are_refused_with_numbers") else { return };
    let right = weights(&config(), 3, &[WeightDtype::F32]);
    let options = CudaOptions {
        ordinal: 0,
        max_batch_tokens: 64,
        hbm_bytes: Some(1 << 50),
        kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
    };
    let error = CudaBackend::new(config(), &right, &options).err().expect("no card has a PiB");
    assert!(error.to_string().contains("1073741824 MiB of slots are asked for"), "{error}");
}
