//! Outputs of each family, as models write them, and the parts they are read into, whatever the cut.

mod support;

use attentionstore_output::{End, Part, Reading};
use support::*;

fn c(text: &str) -> Part {
    Part::Content(text.into())
}
fn r(text: &str) -> Part {
    Part::Reasoning(text.into())
}
fn call(name: &str) -> Part {
    Part::Call { name: name.into() }
}
fn a(text: &str) -> Part {
    Part::Arguments(text.into())
}

struct Case(Model, &'static str, Vec<Part>);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let weather = || vec![call("get_weather"), a(r#"{"city": "Rome", "days": 2}"#)];
    let then = |mut first: Vec<Part>, second: Vec<Part>| { first.extend(second); first };
    vec![
        Case(QWEN25, "Hello there.\n", vec![c("Hello there.\n")]),
        Case(QWEN25, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>", weather()),
        Case(QWEN25, "I look.\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>\nDone.",
            then(vec![c("I look."), call("now"), a("{}")], then(weather(), vec![c("Done.")]))),
        // The closing tag may be missing, and a brace.
        Case(QWEN25, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}", weather()),
        Case(QWEN25, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}\n</tool_call>", weather()),
        // Arguments first, none at all, as a string, and two objects in one pair of tags.
        Case(QWEN25, "<tool_call>{\"arguments\": {\"city\": \"Rome\", \"days\": 2}, \"name\": \"get_weather\"}</tool_call>", weather()),
        Case(QWEN25, "<tool_call>{\"name\": \"now\"}</tool_call>", vec![call("now"), a("{}")]),
        Case(QWEN25, "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\":\\\"Rome\\\"}\"}</tool_call>", vec![call("get_weather"), a("{\"city\":\"Rome\"}")]),
        Case(QWEN25, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\", \"arguments\": {\"a\":1}}\n</tool_call>", vec![call("now"), a("{}"), call("now"), a("{\"a\":1}")]),
        // A raw newline in a string is escaped.
        Case(QWEN25, "<tool_call>{\"name\": \"write_file\", \"arguments\": {\"text\": \"a\nb\"}}</tool_call>", vec![call("write_file"), a("{\"text\": \"a\\nb\"}")]),
        // Malformed calls are content, and a call after them is a call.
        Case(QWEN25, "<tool_call>oops</tool_call>", vec![c("<tool_call>oops</tool_call>")]),
        Case(QWEN25, "\n<tool_call>\n{\"nome\": 1}\n</tool_call>x", vec![c("\n<tool_call>\n{\"nome\": 1}\n</tool_call>x")]),
        Case(QWEN25, "<tool_call><tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>", vec![c("<tool_call>"), call("now"), a("{}")]),
        Case(QWEN3, "<think>\nRome, then.\n</think>\n\nSunny.", vec![r("Rome, then."), c("Sunny.")]),
        Case(QWEN3, "<think>\n\n</think>\n\nSunny.", vec![c("Sunny.")]),
        Case(QWEN3, "<think>\na <tool_call> b\n</think>\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>", then(vec![r("a <tool_call> b")], weather())),
        Case(QWEN3, "<think>never ends", vec![r("never ends")]),
        Case(HERMES2, "Yes. <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>", then(vec![c("Yes. ")], weather())),
        Case(HERMES2, "a <tool_c and <tool_call", vec![c("a <tool_c and <tool_call")]),

        Case(QWEN3_CODER, "Ok.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>", then(vec![c("Ok.")], weather())),
        Case(QWEN3_CODER, "<tool_call>\n<function=write_file>\n<parameter=text>\n\nif a < b && c == \"</p\":\n\treturn '\\n'\n\n</parameter>\n<parameter=options>\n{\"mode\": [1, 2]}\n</parameter>\n</function>\n</tool_call>",
            vec![call("write_file"), a("{\"text\": \"\\nif a < b && c == \\\"</p\\\":\\n\\treturn '\\\\n'\\n\", \"options\": {\"mode\": [1, 2]}}")]),
        Case(QWEN3_CODER, "<tool_call>\n<function=get_weather>\n<parameter=exact>\nTrue\n</parameter>\n<parameter=places>\n['a', 'b']\n</parameter>\n<parameter=days>\nmany\n</parameter>\n<parameter=other>\n5\n</parameter>\n</function>\n</tool_call>",
            vec![call("get_weather"), a("{\"exact\": true, \"places\": [\"a\", \"b\"], \"days\": \"many\", \"other\": \"5\"}")]),
        Case(QWEN3_CODER, "<tool_call>\n<function=now>\n</function>\n</tool_call>", vec![call("now"), a("{}")]),
        Case(QWEN3_CODER, "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome", vec![call("get_weather"), a("{\"city\": \"Rome\"}")]),
        Case(QWEN3_CODER, "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</tool_call>", vec![call("get_weather"), a("{\"city\": \"Rome\"}")]),
        Case(QWEN3_CODER, "<tool_call>\nfunction get_weather", vec![c("<tool_call>\nfunction get_weather")]),
        Case(SEED, "<seed:think>hm</seed:think><seed:tool_call>\n<function=get_weather>\n<parameter=city>Rome</parameter>\n<parameter=days>2</parameter>\n</function>\n</seed:tool_call>", then(vec![r("hm")], weather())),
        Case(MINIMAX, "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Rome</parameter>\n<parameter name=\"days\">2</parameter>\n</invoke>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>", then(weather(), vec![call("now"), a("{}")])),
        Case(DSML, "I see.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Rome</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
            then(vec![c("I see.")], then(weather(), vec![call("now"), a("{}")]))),

        Case(LLAMA3, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\", \"days\": 2}}", weather()),
        Case(LLAMA3, "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\", \"days\": 2}}; {\"name\": \"now\", \"parameters\": {}}", then(weather(), vec![call("now"), a("{}")])),
        Case(LLAMA3, "{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}} ", vec![call("now"), a("{}")]),
        Case(LLAMA3, "{\"name\": \"Ada\", \"age\": 36}", vec![c("{\"name\": \"Ada\", \"age\": 36}")]),
        Case(LLAMA3, "Use {\"name\": \"now\", \"parameters\": {}}", vec![c("Use {\"name\": \"now\", \"parameters\": {}}")]),
        Case(LLAMA3, "<|python_tag|>print(1)", vec![c("<|python_tag|>print(1)")]),
        Case(PYTHONIC, "[get_weather(city=\"Rome\", days=2), now()]", then(weather(), vec![call("now"), a("{}")])),
        Case(PYTHONIC, "[write_file(path='it\\'s', options={'a': [True, None, (1,)]}, text=\"\")]", vec![call("write_file"), a("{\"path\": \"it's\", \"options\": {\"a\": [true, null, [1]]}, \"text\": \"\"}")]),
        Case(PYTHONIC, "[1, 2]", vec![c("[1, 2]")]),
        Case(PYTHONIC, "[now(x) for x in y]", vec![c("[now(x) for x in y]")]),

        Case(MISTRAL, "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}, {\"name\": \"now\", \"arguments\": {}}]", then(weather(), vec![call("now"), a("{}")])),
        Case(MISTRAL, "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}", weather()),
        Case(MISTRAL11, "Ok.[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Rome\", \"days\": 2}[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}", then(vec![c("Ok.")], then(weather(), vec![call("now"), a("{}")]))),
        Case(MISTRAL11, "[THINK]hm[/THINK]Sunny.", vec![r("hm"), c("Sunny.")]),
        Case(MISTRAL11, "[TOOL_CALLS]get weather[ARGS]{}", vec![c("[TOOL_CALLS]get weather[ARGS]{}")]),

        Case(HARMONY, "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"Rome\", \"days\": 2}<|call|>", then(vec![r("Need weather.")], weather())),
        Case(HARMONY, "<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>Sunny.", vec![r("Easy."), c("Sunny.")]),
        Case(HARMONY, "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.now<|channel|>commentary json<|message|>{}", vec![c("I look."), call("now"), a("{}")]),
        Case(HARMONY, " to=functions.now<|channel|>commentary <|constrain|>json<|message|>{}", vec![call("now"), a("{}")]),
        Case(HARMONY, "<|channel|>final<|message|>a to=b\n<|return|>", vec![c("a to=b")]),
        Case(HARMONY, "no header", vec![c("no header")]),

        Case(GEMMA4, "<|channel>thought\nhm\n<channel|><|tool_call>call:get_weather{city:<|\"|>Rome<|\"|>,days:2}<tool_call|>", then(vec![r("hm")], weather())),
        Case(GEMMA4, "<|tool_call>call:write_file{text:<|\"|>a \"b\" {c}<|\"|>,options:{<|\"|>k<|\"|>:[true,null,-1.5e3],m:{}}}<tool_call|><|tool_call>call:now{}<tool_call|>", vec![call("write_file"), a("{\"text\": \"a \\\"b\\\" {c}\", \"options\": {\"k\": [true, null, -1.5e3], \"m\": {}}}"), call("now"), a("{}")]),
        Case(GEMMA4, "<|tool_call>call now", vec![c("<|tool_call>call now")]),
        Case(GLM, "\n<think>hm</think>\nOk.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>", then(vec![r("hm"), c("Ok.")], weather())),
        Case(GLM, "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Rome</arg_value><arg_key>days</arg_key><arg_value>2</arg_value></tool_call><tool_call>now</tool_call>", then(weather(), vec![call("now"), a("{}")])),
        Case(KIMI, "Ok.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"city\": \"Rome\", \"days\": 2}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", then(vec![c("Ok.")], then(weather(), vec![call("now"), a("{}")]))),
        Case(KIMI, "<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|>", vec![call("now"), a("{}")]),
        Case(KIMI, "<|tool_calls_section_begin|>none", vec![c("<|tool_calls_section_begin|>none")]),
        Case(KIMI, "<|tool_calls_section_begin|>", vec![c("<|tool_calls_section_begin|>")]),
        Case(DEEPSEEK31, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Rome\", \"days\": 2}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", then(weather(), vec![call("now"), a("{}")])),

        Case(SMOLLM2, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>", weather()),
        Case(SMOLLM2, "<tool_call>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}, {\"name\": \"now\", \"arguments\": {}}]</tool_call>", then(weather(), vec![call("now"), a("{}")])),
        Case(SMOLLM2, "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}", weather()),
        Case(SMOLLM2, "{\"title\": \"Ada\"}", vec![c("{\"title\": \"Ada\"}")]),
    ]
}

#[test]
fn outputs_of_every_family_are_read_in_every_cut() {
    for Case(model, output, expected) in cases() {
        let (format, reading) = (model.format(), reading());
        let pieces = model.pieces(output);
        assert_eq!(read(&format, &reading, &pieces, End::Whole), expected, "{}: {output}", model.name);
        let atoms = atoms(&pieces);
        assert_eq!(
            read(&format, &reading, &atoms, End::Whole),
            expected,
            "{}, by character: {output}",
            model.name
        );
        for cut in 1..atoms.len() {
            let pieces = joined(&atoms, |index| index == cut);
            assert_eq!(
                read(&format, &reading, &pieces, End::Whole),
                expected,
                "{}, cut at {cut}: {output}",
                model.name
            );
        }
    }
}

#[test]
fn arguments_are_json_of_one_object() {
    for Case(model, output, expected) in cases() {
        for part in expected {
            if let Part::Arguments(text) = part {
                let value: serde_json::Value =
                    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert!(value.is_object(), "{}: {output}", model.name);
            }
        }
    }
}

#[test]
fn a_model_is_known_by_its_template_and_tokens() {
    for model in ALL {
        assert_eq!(model.format().name(), model.name, "{}", model.template);
    }
    assert!(SMOLLM2.format().is_generic() && !SMOLLM2.format().reasons());
    assert!(!QWEN25.format().reasons() && QWEN3.format().reasons());
    assert_eq!(QWEN3.format().reasoning_tokens(), Some((1003, 1004)));
}

#[test]
fn markers_of_calls_are_content_where_no_tools_were_asked_for() {
    let reading = Reading { calls: false, ..reading() };
    let output = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    for model in [QWEN25, QWEN3, HERMES2, SMOLLM2] {
        assert_eq!(read(&model.format(), &reading, &model.pieces(output), End::Whole), [c(output)]);
    }
    let parts =
        read(&QWEN3.format(), &reading, &QWEN3.pieces(&format!("<think>a</think>{output}")), End::Whole);
    assert_eq!(parts, [r("a"), c(output)]);
    let output = "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>";
    let parts = read(&HARMONY.format(), &reading, &HARMONY.pieces(output), End::Whole);
    assert_eq!(parts, [c(output)]);
}

#[test]
fn text_that_quotes_a_marker_is_no_marker_where_the_vocabulary_has_it_as_a_token() {
    let text = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call> <think>a</think>";
    let quoted = [Owned::Text(text.to_owned())];
    assert_eq!(read(&QWEN3.format(), &reading(), &quoted, End::Whole), [c(text)]);
    // Inside of a call a quoted closing tag ends nothing either.
    let mut pieces = QWEN3.pieces("<tool_call>{\"name\": \"write_file\", \"arguments\": {\"text\": \"");
    pieces.push(Owned::Text("</tool_call>".to_owned()));
    pieces.extend(QWEN3.pieces("\"}}</tool_call>"));
    let parts = read(&QWEN3.format(), &reading(), &pieces, End::Whole);
    assert_eq!(parts, [call("write_file"), a("{\"text\": \"</tool_call>\"}")]);
}

#[test]
fn tags_of_reasoning_that_are_no_tokens_count_only_at_the_start() {
    let model = Model { template: "<tool_call> </think>", tokens: &[], ..HERMES2 };
    let parts = |output: &str| read(&model.format(), &reading(), &model.pieces(output), End::Whole);
    assert_eq!(parts("<think>a</think>\nb"), [r("a"), c("b")]);
    assert_eq!(parts("Tags like <think>a</think>"), [c("Tags like <think>a</think>")]);
}

#[test]
fn a_prompt_that_opens_the_reasoning_is_recognised() {
    let starts = |model: Model, end: &str| model.format().starts_in_reasoning(end);
    assert!(starts(QWEN3, "<|im_start|>assistant\n<think>\n"));
    assert!(!starts(QWEN3, "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    assert!(!starts(QWEN3, "<|im_start|>assistant\n"));
    assert!(!starts(QWEN25, "<|im_start|>assistant\n<think>\n"));
    assert!(starts(GEMMA4, "<|turn>model\n<|channel>thought\n"));
    assert!(starts(HARMONY, "<|start|>assistant<|channel|>analysis<|message|>"));
    let reading = Reading { starts_in_reasoning: true, ..reading() };
    let parts = read(&QWEN3.format(), &reading, &QWEN3.pieces("a\n</think>\n\nb"), End::Whole);
    assert_eq!(parts, [r("a"), c("b")]);
    let output = "a<|end|><|start|>assistant<|channel|>final<|message|>b";
    let parts = read(&HARMONY.format(), &reading, &HARMONY.pieces(output), End::Whole);
    assert_eq!(parts, [r("a"), c("b")]);
}

#[test]
fn a_call_that_a_limit_cut_stays_cut() {
    let output = "<tool_call>\n<function=get_weather>\n<parameter=city>\nRo";
    let parts = read(&QWEN3_CODER.format(), &reading(), &QWEN3_CODER.pieces(output), End::Cut);
    assert_eq!(parts, [call("get_weather"), a("{\"city\": \"Ro")]);
    let parts =
        read(&GLM.format(), &reading(), &GLM.pieces("<tool_call>now\n<arg_key>a</arg_key>"), End::Cut);
    assert_eq!(parts, [call("now")]);
}

#[test]
fn a_possible_marker_is_held_back_and_nothing_else() {
    use attentionstore_output::{Parser, Piece};
    let mut parser = Parser::new(HERMES2.format(), reading());
    assert_eq!(parser.push(Piece::Text("Look: ")), [c("Look: ")]);
    assert_eq!(parser.push(Piece::Text("<tool_")), []);
    assert_eq!(parser.push(Piece::Text("x")), [c("<tool_x")]);
    assert_eq!(
        parser.push(Piece::Text("<tool_call>{\"name\": \"now\", \"arguments\": {")),
        [call("now"), a("{")]
    );
    assert_eq!(parser.push(Piece::Text("\"a")), [a("\"a")]);
    let mut parser = Parser::new(QWEN3_CODER.format(), reading());
    parser.push(Piece::Token { id: 1001, text: "<tool_call>" });
    parser.push(Piece::Text("<function=write_file><parameter=text>\n"));
    assert_eq!(parser.push(Piece::Text("one\n")), [a("one")]);
    assert_eq!(parser.push(Piece::Text("two</par")), [a("\\ntwo")]);
}

#[test]
fn every_token_that_a_format_reads_is_among_its_tokens() {
    for model in ALL {
        let (format, tokens) = (model.format(), model.tokens);
        let missing: Vec<&str> = tokens
            .iter()
            .filter(|token| !format.tokens().values().any(|known| known == *token))
            .filter(|token| !token.starts_with("<|im_") && !token.starts_with("<|e"))
            .copied()
            .collect();
        assert_eq!(missing, Vec::<&str>::new(), "{}", model.name);
    }
}
