//! The program as it is run, on a model small enough for a test.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SHAPE: &str = r#"{
    "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 1024
}"#;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attentionstore-bench"));
    command.args(arguments).output().expect("the program starts")
}

fn text(directory: &Path) -> &str {
    directory.to_str().expect("a plain path")
}

/// A directory with a tiny shape, which is measured in it.
fn shape() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("config.json"), SHAPE).expect("it can be written");
    directory
}

#[test]
fn every_case_of_the_engine_is_measured_and_nothing_is_left_behind() {
    let directory = shape();
    let json = directory.path().join("out.json");
    let arguments = [
        "engine",
        "--quick",
        "--no-ceilings",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--prefill",
        "200",
        "--decode",
        "1,16",
        "--context",
        "128",
        "--history",
        "128",
        "--batch-tokens",
        "96",
    ];
    let paths =
        ["--random-weights", text(directory.path()), "--dir", text(directory.path()), "--json", text(&json)];
    let output = bench(&[&arguments[..], &paths[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value =
        serde_json::from_slice(&std::fs::read(&json).expect("the file is there")).expect("JSON");
    let names: Vec<&str> = result["measurements"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|each| each["name"].as_str())
        .collect();
    for name in [
        "prefill/200 tokens",
        "prefill/200 tokens, saving everything",
        "prefill/200 tokens, waiting for saves",
        "decode/batch 1 at 128",
        "decode/batch 16 at 128",
        "decode/batch 16 at 128, saving everything",
        "part/save, hbm to dram",
        "part/load, dram to hbm",
        "part/disk tier write, checksummed and durable",
        "part/disk tier read, verified",
        "returning/128 + 64 from hbm",
        "returning/128 + 64 from dram",
        "returning/128 + 64 from dram, no preload",
        "returning/128 + 64 from ssd",
        "returning/128 + 64 computing everything",
        "returning/128 + 64 from dram, 1 layers ahead",
    ] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }
    // So small a model decodes all its steps before the thread that takes their times wakes up.
    let may_be_zero = |each: &Value| each["name"].as_str().is_some_and(|name| name.starts_with("decode/"));
    let positive = |each: &Value| {
        each["value"].as_f64().is_some_and(|value| value > 0.0 || value == 0.0 && may_be_zero(each))
    };
    assert!(result["measurements"].as_array().into_iter().flatten().all(positive), "{result:#}");
    let left = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, 2, "only config.json and out.json");
}

#[test]
fn what_does_not_fit_the_context_is_skipped_by_name() {
    let directory = shape();
    let paths = ["--random-weights", text(directory.path()), "--dir", text(directory.path())];
    let arguments =
        ["engine", "--quick", "--no-ceilings", "--device", "cpu", "--history", "2048", "--only", "from dram"];
    let output = bench(&[&arguments[..], &paths[..]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("skipped | the model's context has 1024 tokens"),
        "{said}"
    );
}

#[test]
fn wrong_usage_exits_2_and_names_what_is_wrong() {
    for (arguments, words) in [
        (&["--fast"][..], "unknown option --fast"),
        (&["engine", "--random-weights", "mistral-8b", "--no-ceilings"], "mistral-8b"),
        (&["machine", "--only", "nothing like it", "--device", "cpu"], "nothing has \"nothing like it\""),
    ] {
        let output = bench(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!([1, 2].contains(&output.status.code().unwrap_or(0)), "{arguments:?}: {:?}", output.status);
    }
    assert_eq!(bench(&["--fast"]).status.code(), Some(2));
}
