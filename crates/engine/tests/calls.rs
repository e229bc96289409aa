//! The grammar for calls and the reader of answers agree, family by family: the outputs that models write are allowed, and
//! all that is allowed is read as calls.

#[path = "../../output/tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use attentionstore_grammar::{Compiler, Grammar, Limits, Matcher, Source, Vocabulary};
use attentionstore_output::{Choice, End, Parser, Part, Piece, Reading, Tool};
use serde_json::json;
use support::*;

const END: u32 = 300;
const VOCABULARY: usize = 1100;
/// Ends of text without a token of their own: random text would never come upon them.
const CLOSING: [&str; 7] =
    ["</parameter>", "\n</parameter>", "</tool_call>", "parameter>", "</", "\"", "<tool_call>"];
const FIRST_CLOSING: u32 = 400;
const FIRST_MARKER: u32 = 1000;

fn compiler(model: &Model) -> Compiler {
    let mut vocabulary = Vocabulary::new(VOCABULARY, vec![END]);
    (0..=255u8).for_each(|byte| vocabulary.text(u32::from(byte), &[byte]));
    (FIRST_CLOSING..).zip(CLOSING).for_each(|(id, text)| vocabulary.text(id, text.as_bytes()));
    (FIRST_MARKER..).zip(model.tokens).for_each(|(id, name)| vocabulary.special(id, name.as_bytes()));
    vocabulary.special(END, b"<end>");
    Compiler::new(&vocabulary, &Limits::default()).expect("the vocabulary is one")
}

fn compiled(model: &Model, choice: &Choice, parallel: bool) -> Arc<Grammar> {
    compiled_for(&tools(), model, choice, parallel)
}

fn compiled_for(tools: &[Tool], model: &Model, choice: &Choice, parallel: bool) -> Arc<Grammar> {
    let lark = model.format().grammar(tools, choice, parallel).expect("a grammar");
    let compiled = compiler(model).compile(&Source::Calls(lark.clone()));
    compiled.unwrap_or_else(|error| panic!("{}, {choice:?}: {error}\n{lark}", model.name))
}

fn allowed(matcher: &mut Matcher) -> Vec<u32> {
    let mut words = vec![0u32; VOCABULARY.div_ceil(32)];
    matcher.fill(&mut words).expect("a mask");
    (0..VOCABULARY as u32).filter(|token| words[*token as usize / 32] >> (token % 32) & 1 == 1).collect()
}

fn ids(model: &Model, output: &str) -> Vec<u32> {
    let of_piece = |piece: &Owned| match piece {
        Owned::Text(text) => text.bytes().map(u32::from).collect(),
        Owned::Token(id, _) => vec![*id],
    };
    model.pieces(output).iter().flat_map(of_piece).collect()
}

#[test]
fn outputs_as_models_write_them_are_allowed() {
    let object = "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}";
    let llama = object.replace("arguments", "parameters");
    let json = "{\"city\": \"Rome\", \"days\": 2}";
    let tagged = format!("<tool_call>\n{object}\n</tool_call>");
    let element = "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>";
    let dsml = "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Rome</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>";
    let minimax = "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Rome</parameter>\n<parameter name=\"days\">2</parameter>\n</invoke>\n</minimax:tool_call>";
    let outputs = [
        (QWEN25, tagged.clone()),
        (QWEN25, format!("{tagged}\n{tagged}")),
        (QWEN3, format!("<think>\nhm\n</think>\n\n{tagged}")),
        (HERMES2, tagged.clone()),
        (SMOLLM2, tagged.clone()),
        (QWEN3_CODER, format!("<tool_call>\n{element}\n</tool_call>")),
        (SEED, format!("<seed:tool_call>\n{element}\n</seed:tool_call>")),
        (MINIMAX, minimax.to_owned()),
        (DSML, dsml.to_owned()),
        (LLAMA3, format!("{llama}; {llama}")),
        (PYTHONIC, "[get_weather(city=\"Rome\", days=2), now()]".to_owned()),
        (MISTRAL, format!("[TOOL_CALLS][{object}, {object}]")),
        (MISTRAL11, format!("[TOOL_CALLS]get_weather[ARGS]{json}[TOOL_CALLS]get_weather[ARGS]{json}")),
        (HARMONY, format!("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{json}")),
        (GEMMA4, "<|tool_call>call:get_weather{city:<|\"|>Rome<|\"|>,days:2}<tool_call|>".to_owned()),
        (GLM, "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>".to_owned()),
        (KIMI, format!("<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{json}<|tool_call_end|><|tool_calls_section_end|>")),
        (DEEPSEEK31, format!("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{json}<｜tool▁call▁end｜><｜tool▁calls▁end｜>")),
    ];
    for (model, output) in outputs {
        for choice in [Choice::Required, Choice::Auto] {
            let grammar = compiled(&model, &choice, true);
            let mut matcher = grammar.matcher();
            for (at, id) in ids(&model, &output).into_iter().enumerate() {
                let context = || format!("{}, {choice:?}, token {at} of {output}", model.name);
                assert!(allowed(&mut matcher).contains(&id), "{}", context());
                matcher.accept(id).unwrap_or_else(|error| panic!("{}: {error}", context()));
            }
            assert!(
                allowed(&mut matcher).contains(&END),
                "{}, {choice:?}: no end after {output}",
                model.name
            );
        }
    }
}

#[test]
fn text_is_free_with_auto_and_refused_where_a_call_is_forced() {
    for model in ALL {
        let output = if model.name == "harmony" { "<|channel|>final<|message|>Hello" } else { "Hello" };
        let first = ids(model, output);
        let mut auto = compiled(model, &Choice::Auto, true).matcher();
        for id in &first {
            assert!(allowed(&mut auto).contains(id), "{}", model.name);
            auto.accept(*id).expect("it was allowed");
        }
        assert!(allowed(&mut auto).contains(&END), "{}", model.name);
        let mut forced = compiled(model, &Choice::Required, true).matcher();
        let refused = first.iter().any(|id| {
            let takes = allowed(&mut forced).contains(id);
            takes.then(|| forced.accept(*id).expect("it was allowed"));
            !takes
        });
        assert!(refused || !allowed(&mut forced).contains(&END), "{}", model.name);
    }
}

/// An output of random allowed tokens; none: it has not ended after `most`.
fn random_output(grammar: &Grammar, random: &mut Random, most: usize) -> Option<Vec<u32>> {
    let (mut matcher, mut output) = (grammar.matcher(), Vec::new());
    for _ in 0..most {
        let allowed = allowed(&mut matcher);
        assert!(!allowed.is_empty(), "nothing may follow {output:?}");
        let closes = |id: &u32| *id >= END || matches!(*id, 34 | 41 | 93 | 125);
        let ends: Vec<u32> = allowed.iter().copied().filter(closes).collect();
        let from = if !ends.is_empty() && random.below(2) == 0 { &ends } else { &allowed };
        let id = from[random.below(from.len())];
        if id == END {
            return Some(output);
        }
        matcher.accept(id).expect("it was allowed");
        output.push(id);
    }
    None
}

/// A string inside of JSON holds the end of its parameter: the one thing that is allowed and not read so
/// (docs/design/answers.md).
fn has_an_end_too_many(model: &Model, output: &[u32]) -> bool {
    let text_of = |id: &u32| match id {
        0..=255 => char::from(*id as u8).to_string(),
        FIRST_CLOSING..FIRST_MARKER => CLOSING[(id - FIRST_CLOSING) as usize].to_owned(),
        _ => model.tokens[(id - FIRST_MARKER) as usize].to_owned(),
    };
    let text: String = output.iter().map(text_of).collect();
    text.matches("</parameter>").count() > text.matches("<parameter").count()
}

/// The parts of an output.
fn parts_of(model: &Model, reading: &Reading, output: &[u32]) -> Vec<Part> {
    let format = model.format();
    let mut parser = Parser::new(format.clone(), reading.clone());
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    for id in output {
        match id {
            0..=255 => bytes.push(*id as u8),
            FIRST_CLOSING..FIRST_MARKER => bytes.extend(CLOSING[(id - FIRST_CLOSING) as usize].bytes()),
            _ => {
                let text = String::from_utf8(std::mem::take(&mut bytes)).expect("text");
                parts.extend(parser.push(Piece::Text(&text)));
                let name = model.tokens[(id - FIRST_MARKER) as usize];
                parts.extend(parser.push(Piece::Token { id: *id, text: name }));
            }
        }
    }
    let text = String::from_utf8(bytes).expect("text");
    parts.extend(parser.push(Piece::Text(&text)));
    parts.extend(parser.finish(End::Whole));
    merged(parts)
}

#[test]
fn all_that_is_allowed_where_a_call_is_forced_is_read_as_calls_with_their_arguments() {
    for model in ALL {
        let grammar = compiled(model, &Choice::Required, true);
        let mut ended = 0;
        for seed in 0..40 {
            let Some(output) = random_output(&grammar, &mut Random::new(seed), 400) else { continue };
            ended += 1;
            if has_an_end_too_many(model, &output) {
                continue;
            }
            let parts = parts_of(model, &reading(), &output);
            let context = || format!("{}, seed {seed}: {output:?} is read as {parts:#?}", model.name);
            assert!(parts.iter().any(|part| matches!(part, Part::Call { .. })), "{}", context());
            let mut name = "";
            for part in &parts {
                match part {
                    Part::Content(_) => panic!("content: {}", context()),
                    Part::Reasoning(_) => {}
                    Part::Call { name: called } => name = called,
                    Part::Arguments(text) => {
                        let value: serde_json::Value = serde_json::from_str(text)
                            .unwrap_or_else(|error| panic!("{error}: {}", context()));
                        assert!(value.is_object(), "{}", context());
                        assert!(name != "get_weather" || value["city"].is_string(), "{}", context());
                        assert!(
                            value["days"].is_null()
                                || value["days"].is_i64()
                                || value["days"].is_u64()
                                || name != "get_weather"
                                || value["days"].is_number(),
                            "{}",
                            context()
                        );
                    }
                }
            }
        }
        assert!(ended >= 5, "{}: {ended} outputs ended", model.name);
    }
}

/// A tool with one text, which a pattern holds.
fn held_tool(pattern: &str) -> Tool {
    let schema = json!({
        "type": "object",
        "properties": { "input": { "type": "string", "pattern": pattern } },
        "required": ["input"],
        "additionalProperties": false
    });
    Tool { name: "edit".into(), description: None, parameters: Some(schema), strict: true }
}

/// The inputs of random whole outputs under these patterns.
fn inputs_under(model: &Model, pattern: &str, choice: &Choice) -> Vec<String> {
    let tools = [held_tool(pattern)];
    let grammar = compiled_for(&tools, model, choice, false);
    let reading = Reading { tools: tools.into(), calls: true, starts_in_reasoning: false };
    let outputs = (0..24).filter_map(|seed| random_output(&grammar, &mut Random::new(seed), 200));
    let arguments =
        outputs.flat_map(|output| parts_of(model, &reading, &output)).filter_map(|part| match part {
            Part::Arguments(text) => Some(text),
            _ => None,
        });
    arguments
        .map(|text| {
            let value: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", model.name));
            value["input"].as_str().unwrap_or_else(|| panic!("{}: no text: {text}", model.name)).to_owned()
        })
        .collect()
}

#[test]
fn a_text_that_a_pattern_holds_is_read_as_one_that_matches_it_in_every_family() {
    let is_right = |input: &str| {
        let (verb, rest) = input.split_at_checked(4).unwrap_or((input, ""));
        let (word, digit) = rest.split_once('\n').unwrap_or((rest, ""));
        ["add ", "del "].contains(&verb)
            && (1..=3).contains(&word.chars().count())
            && word.chars().all(|c| "a\"\\/'".contains(c))
            && digit.strip_suffix('\n').is_some_and(|digit| digit.len() == 1 && digit.is_ascii())
    };
    for model in ALL {
        let inputs = inputs_under(model, "^(?:add|del) [a\"\\\\/']{1,3}\\n\\d\n$", &Choice::Required);
        assert!(inputs.len() >= 10, "{}: {} inputs", model.name, inputs.len());
        for input in &inputs {
            assert!(is_right(input), "{}: {input:?}", model.name);
        }
    }
}

#[test]
fn a_text_that_may_hold_anything_ends_at_the_end_of_its_parameter() {
    for model in ALL {
        let inputs = inputs_under(model, "^x(.|\\n)*$", &Choice::Named("edit".into()));
        assert!(!inputs.is_empty(), "{}", model.name);
        for input in &inputs {
            assert!(input.starts_with('x'), "{}: {input:?}", model.name);
        }
    }
}

#[test]
fn a_pattern_holds_where_the_model_chooses_to_call_and_a_searched_one_may_stand_anywhere() {
    for model in ALL {
        for input in inputs_under(model, "k\\d", &Choice::Auto) {
            let is_found = input.as_bytes().windows(2).any(|two| two[0] == b'k' && two[1].is_ascii_digit());
            assert!(is_found, "{}: {input:?}", model.name);
        }
    }
}

#[test]
fn a_pattern_whose_repetitions_are_too_many_is_refused_with_the_limit_in_every_family() {
    for model in ALL {
        let lark = model.format().grammar(&[held_tool("^a{99999}$")], &Choice::Required, false).unwrap();
        let Err(error) = compiler(model).compile(&Source::Calls(lark)) else { panic!("{}", model.name) };
        assert!(error.to_string().contains("limit"), "{}: {error}", model.name);
    }
}
