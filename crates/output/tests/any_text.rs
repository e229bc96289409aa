//! Any output is read without a panic, without losing text, and alike in every cut.

mod support;

use attentionstore_output::{End, Part, Reading};
use support::*;

/// Fragments that outputs of this model are made of, and noise.
fn fragments(model: &Model) -> Vec<&'static str> {
    let mut fragments = vec![
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        "{\"name\": \"now\", \"arguments\": ",
        "{\"name\": \"get_weather\"",
        "{\"city\": \"Rome\"}",
        "}",
        "{",
        "[",
        "]",
        ",",
        ";",
        ":",
        "\"",
        "\\",
        "\n",
        "\n\n",
        " ",
        "a",
        "é",
        "🏳",
        "1",
        "null",
        "<function=get_weather>",
        "</function>",
        "<parameter=city>",
        "<parameter=days>\n",
        "</parameter>",
        ">",
        "<",
        "<invoke name=\"now\">",
        "</invoke>",
        "<parameter name=\"city\">",
        "get_weather",
        "now(",
        "city=",
        "'Rome'",
        ")",
        "call:now{",
        "<｜DSML｜invoke name=\"now\">",
        "</｜DSML｜invoke>",
        "<｜DSML｜parameter name=\"city\" string=\"true\">",
        "</｜DSML｜parameter>",
        "<｜DSML｜function_calls>",
        "</｜DSML｜function_calls>",
        "analysis",
        "final",
        "commentary to=functions.now ",
        " to=",
        "assistant",
        "functions.now:0",
        "\"arguments\": {\"a\": [1, {\"b\": \"\\u00e9\"}]}",
    ];
    for _ in 0..3 {
        fragments.extend(model.tokens);
    }
    fragments
}

fn is_subsequence(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|c| rest.any(|other| other == c))
}

#[test]
fn random_outputs_are_read_alike_in_every_cut_and_keep_their_text() {
    for model in ALL {
        let (format, fragments) = (model.format(), fragments(model));
        for seed in 0..1500 {
            let mut random = Random::new(seed);
            let output: String =
                (0..1 + random.below(30)).map(|_| fragments[random.below(fragments.len())]).collect();
            let reading = Reading {
                calls: random.below(4) > 0,
                starts_in_reasoning: format.reasons() && random.below(4) == 0,
                ..reading()
            };
            let end = if random.below(2) == 0 { End::Whole } else { End::Cut };
            let context = format!("{}, seed {seed}: {output:?}", model.name);

            let pieces = model.pieces(&output);
            let parts = read(&format, &reading, &pieces, end);
            let atoms = atoms(&pieces);
            assert_eq!(read(&format, &reading, &atoms, end), parts, "by character: {context}");
            let cuts: Vec<bool> = atoms.iter().map(|_| random.below(3) == 0).collect();
            assert_eq!(
                read(&format, &reading, &joined(&atoms, |at| cuts[at]), end),
                parts,
                "cuts {cuts:?}: {context}"
            );

            let mut plain = String::new();
            let mut only_content = true;
            for part in &parts {
                match part {
                    Part::Content(text) => plain.push_str(text),
                    Part::Reasoning(text) => {
                        plain.push_str(text);
                        only_content = false;
                    }
                    Part::Call { name } => {
                        assert!(reading.calls && !name.is_empty(), "{context}");
                        only_content = false;
                    }
                    Part::Arguments(_) => {}
                }
            }
            assert!(is_subsequence(&plain, &output), "{plain:?} of {context}");
            // Of an empty reasoning nothing is seen.
            let markers =
                ["think>", "channel|>", "THINK]", "<|end|>", "<|channel|>", "<|return|>", "<|call|>"];
            if only_content
                && !reading.starts_in_reasoning
                && !markers.iter().any(|marker| output.contains(marker))
            {
                assert_eq!(plain, output, "{context}");
            }
        }
    }
}

#[test]
fn arguments_follow_a_call_and_are_json_where_the_model_ended_the_answer_within_generated_forms() {
    for model in [QWEN3_CODER, GLM, DSML, MINIMAX] {
        let (format, fragments) = (model.format(), fragments(&model));
        for seed in 0..800 {
            let mut random = Random::new(seed);
            let output: String =
                (0..1 + random.below(30)).map(|_| fragments[random.below(fragments.len())]).collect();
            let parts = read(&format, &reading(), &model.pieces(&output), End::Whole);
            for pair in parts.windows(2) {
                if matches!(pair[1], Part::Arguments(_)) {
                    assert!(matches!(pair[0], Part::Call { .. }), "{}, seed {seed}: {output:?}", model.name);
                }
            }
        }
    }
}
