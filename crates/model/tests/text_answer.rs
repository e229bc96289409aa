//! The text of an answer while its tokens arrive, against a plain definition of what it must be.

mod text_support;

use std::sync::Arc;

use attentionstore_model::text::{
    AnswerText, FinishedText, StopRule, StopStrings, TextError, TextModel, Tokenizer,
};
use attentionstore_output::{End, Format, Part, Reading, Tool};
use proptest::prelude::*;
use proptest::sample::Index;
use text_support::{FAMILIES, default_model, family};

/// What an answer is: the tokens' bytes as text, without an incomplete character at the end, up to the stop string
/// that is complete first (of those the longest).
fn expected_text(tokenizer: &Tokenizer, tokens: &[u32], stops: &[String]) -> (String, Option<String>) {
    let bytes: Vec<u8> =
        tokens.iter().filter_map(|id| tokenizer.token_bytes(*id)).flatten().copied().collect();
    let text = complete(&bytes);
    for end in 1..=text.len() {
        let found = stops.iter().filter(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes()));
        if let Some(length) = found.map(String::len).max() {
            return (text[..end - length].to_owned(), Some(text[end - length..end].to_owned()));
        }
    }
    (text, None)
}

/// `bytes` as text, without an incomplete character at the end.
fn complete(bytes: &[u8]) -> String {
    let incomplete = bytes.utf8_chunks().last().map_or(0, |last| match std::str::from_utf8(last.invalid()) {
        Err(error) if error.error_len().is_none() => last.invalid().len(),
        _ => 0,
    });
    String::from_utf8_lossy(&bytes[..bytes.len() - incomplete]).into_owned()
}

/// The most tokens whose decoding is the beginning of `text`: none after a token without text, and never up to the
/// middle of a character.
fn expected_inside(tokenizer: &Tokenizer, tokens: &[u32], text: &str) -> (usize, usize) {
    let mut best = (0, 0);
    let mut bytes = Vec::new();
    for (index, id) in tokens.iter().enumerate() {
        let Some(more) = tokenizer.token_bytes(*id) else { break };
        bytes.extend_from_slice(more);
        let lossy = String::from_utf8_lossy(&bytes);
        if lossy == complete(&bytes) && text.starts_with(&*lossy) {
            best = (index + 1, lossy.len());
        }
    }
    best
}

/// The content of parts, joined.
fn content(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Content(text) => text.clone(),
        other => panic!("{other:?} is no content"),
    };
    parts.iter().map(text).collect()
}

/// Deltas, the end, and the stop string with the index of the token that completed it.
fn run(
    model: &TextModel,
    tokens: &[u32],
    stops: &[String],
) -> (Vec<String>, FinishedText, Option<(usize, String)>) {
    let stops = Arc::new(StopStrings::new(stops).unwrap());
    let mut answer = AnswerText::new(model.tokenizer.clone(), stops);
    let mut deltas = Vec::new();
    let mut stopped = None;
    for (index, token) in tokens.iter().enumerate() {
        let delta = answer.push(*token);
        deltas.push(content(&delta.parts));
        stopped = stopped.or(delta.stopped.map(|stop| (index, stop)));
    }
    (deltas, answer.finish(End::Whole), stopped)
}

fn check(model: &TextModel, tokens: &[u32], stops: &[String]) {
    let (deltas, finished, stopped) = run(model, tokens, stops);
    let text = deltas.concat() + &content(&finished.rest);
    let (expected, stop) = expected_text(&model.tokenizer, tokens, stops);
    assert_eq!(text, expected, "tokens {tokens:?}, stops {stops:?}");
    assert_eq!(stopped.map(|(_, stop)| stop), stop, "tokens {tokens:?}, stops {stops:?}");
    assert_eq!(finished.text_bytes, text.len());
    let inside = expected_inside(&model.tokenizer, tokens, &text);
    assert_eq!((finished.inside_tokens, finished.inside_bytes), inside, "tokens {tokens:?}, stops {stops:?}");
    // What a client has seen before the end is never more than the answer, and never runs behind without need.
    let longest = stops.iter().map(String::len).max().unwrap_or(0);
    let seen: usize = deltas.iter().map(String::len).sum();
    assert!(text.len() - seen <= longest.saturating_sub(1), "{} bytes held back", text.len() - seen);
}

/// Stop strings cut out of what the tokens say, which stop for certain and often inside tokens, and some others.
fn stops_for(tokenizer: &Tokenizer, tokens: &[u32], cuts: &[(Index, usize)]) -> Vec<String> {
    let (text, _) = expected_text(tokenizer, tokens, &[]);
    let chars: Vec<char> = text.chars().collect();
    let mut stops: Vec<String> = Vec::new();
    for (start, length) in cuts {
        if !chars.is_empty() {
            let start = start.index(chars.len());
            stops.push(chars[start..(start + length).min(chars.len())].iter().collect());
        }
    }
    stops.push("\n\n\u{1F600}".to_owned());
    stops
}

/// A token as a number below the vocabulary's size; many of the low ones are special or single bytes.
fn random_tokens() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 0..40)
}

fn random_cuts() -> impl Strategy<Value = Vec<(Index, usize)>> {
    proptest::collection::vec((any::<Index>(), 1usize..6), 0..3)
}

fn check_random(model: &TextModel, tokens: &[Index], cuts: &[(Index, usize)], bytes_only: bool) {
    let size = model.tokenizer.vocab_size();
    let tokens: Vec<u32> =
        tokens.iter().map(|token| token.index(if bytes_only { 270 } else { size }) as u32).collect();
    check(model, &tokens, &[]);
    check(model, &tokens, &stops_for(&model.tokenizer, &tokens, cuts));
}

/// As `expected_text`, for an answer that ends with the first stop string that is complete behind its first `after` tokens.
fn expected_with_stop(
    tokenizer: &Tokenizer,
    tokens: &[u32],
    stops: &[String],
    after: usize,
) -> (String, Option<String>) {
    let (text, _) = expected_text(tokenizer, tokens, &[]);
    let (early, _) = expected_text(tokenizer, &tokens[..after.min(tokens.len())], &[]);
    for end in early.len() + 1..=text.len() {
        let found = stops.iter().filter(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes()));
        if let Some(length) = found.map(String::len).max() {
            return (text[..end].to_owned(), Some(text[end - length..end].to_owned()));
        }
    }
    (text, None)
}

#[test]
fn an_included_stop_string_ends_the_text_and_none_counts_within_the_first_tokens() {
    let mut stopped = 0;
    for (name, _) in FAMILIES {
        let model = family(name);
        let words = "The end of one, the end of another: the end. And the end is \u{e9}t\u{e9}, the end";
        let tokens = model.tokenizer.encode(words, attentionstore_model::text::Specials::Plain).unwrap();
        for stop in ["end", "the end", "nd of", "\u{e9}t", "e", "never"].map(str::to_owned) {
            for after in [0, 1, 3, 4, 5, 9, 100] {
                let stops = vec![stop.clone()];
                let rule = StopRule { after: after as u32, included: true };
                let strings = Arc::new(StopStrings::new(&stops).unwrap().ruled(rule));
                let mut answer = AnswerText::new(model.tokenizer.clone(), strings);
                let (mut text, mut found) = (String::new(), None);
                for &token in &tokens {
                    let delta = answer.push(token);
                    text += &content(&delta.parts);
                    found = delta.stopped;
                    if found.is_some() {
                        break;
                    }
                }
                stopped += usize::from(found.is_some());
                let finished = answer.finish(End::Whole);
                text += &content(&finished.rest);
                let expected = expected_with_stop(&model.tokenizer, &tokens, &stops, after);
                assert_eq!((&text, &found), (&expected.0, &expected.1), "{name}: {stop} after {after}");
                let inside = expected_inside(&model.tokenizer, &tokens, &text);
                assert_eq!((finished.inside_tokens, finished.inside_bytes), inside, "{name}: {stop}");
            }
        }
    }
    assert!(stopped > 50, "{stopped} answers were stopped");
}

#[test]
fn tokens_that_an_answer_goes_on_from_are_not_among_the_first_in_which_no_stop_string_counts() {
    let model = family("gpt2");
    let (begun, tokens) = (byte_ids(&model, b"was"), byte_ids(&model, b"a.b.c"));
    let rule = StopRule { after: 2, included: false };
    let strings = Arc::new(StopStrings::new(&["."]).unwrap().ruled(rule));
    let mut answer = AnswerText::new(model.tokenizer.clone(), strings);
    answer.go_on_from(&begun);
    let deltas: Vec<_> = tokens.iter().map(|token| answer.push(*token)).collect();
    let text: String = deltas.iter().map(|delta| content(&delta.parts)).collect();
    assert_eq!(text, "a.b");
    assert_eq!(deltas[3].stopped.as_deref(), Some("."));
    assert_eq!(deltas[1].stopped, None);
}

#[test]
fn answers_of_random_tokens_are_cut_where_the_definition_says() {
    for (name, _) in FAMILIES {
        let model = family(name);
        proptest!(ProptestConfig::with_cases(300), |(tokens in random_tokens(), cuts in random_cuts(), bytes_only: bool)| {
            check_random(&model, &tokens, &cuts, bytes_only);
        });
    }
}

#[test]
fn answers_of_the_default_model_are_cut_where_the_definition_says() {
    let test = "answers_of_the_default_model_are_cut_where_the_definition_says";
    let Some(model) = default_model(test) else { return };
    proptest!(ProptestConfig::with_cases(1000), |(tokens in random_tokens(), cuts in random_cuts(), bytes_only: bool)| {
        check_random(model, &tokens, &cuts, bytes_only);
    });
}

#[test]
fn a_real_text_streams_out_character_by_character_and_whole() {
    let model = family("gpt2");
    let text = "Größe 👨‍👩‍👧‍👦 and 日本語, café\r\n\tend ";
    let tokens = model.tokenizer.encode(text, attentionstore_model::text::Specials::Plain).unwrap();
    let (deltas, finished, _) = run(&model, &tokens, &[]);
    assert_eq!(deltas.concat(), text);
    assert_eq!((content(&finished.rest).as_str(), finished.inside_tokens), ("", tokens.len()));
    assert!(deltas.iter().filter(|delta| !delta.is_empty()).count() > 20);
}

/// Ids of single bytes in a byte-level vocabulary.
fn byte_ids(model: &TextModel, bytes: &[u8]) -> Vec<u32> {
    let of_byte = |byte: &u8| {
        let ids = 0..model.tokenizer.vocab_size() as u32;
        ids.into_iter().find(|id| model.tokenizer.token_bytes(*id) == Some(&[*byte])).unwrap()
    };
    bytes.iter().map(of_byte).collect()
}

#[test]
fn an_incomplete_character_at_the_end_is_dropped_and_its_tokens_are_not_inside() {
    let model = family("gpt2");
    let tokens = byte_ids(&model, b"a\xE2\x82");
    let (deltas, finished, _) = run(&model, &tokens, &[]);
    assert_eq!(deltas, ["a", "", ""]);
    assert_eq!(
        finished,
        FinishedText { text_bytes: 1, inside_tokens: 1, inside_bytes: 1, ..FinishedText::default() }
    );
    let (deltas, finished, _) = run(&model, &byte_ids(&model, b"\xE2\x82\xAC"), &[]);
    assert_eq!((deltas.concat().as_str(), finished.inside_tokens), ("€", 3));
    let (deltas, finished, _) = run(&model, &byte_ids(&model, b"\xE2\x82!"), &[]);
    assert_eq!((deltas.concat().as_str(), finished.inside_tokens), ("\u{FFFD}!", 3));
}

#[test]
fn a_stop_string_inside_a_token_leaves_that_token_outside() {
    let model = family("gpt2");
    let tokenizer = &model.tokenizer;
    let word =
        (0..tokenizer.vocab_size() as u32).find(|id| tokenizer.token_bytes(*id) == Some(b" the")).unwrap();
    let tokens = [byte_ids(&model, b"a"), vec![word], byte_ids(&model, b"b")].concat();
    let (deltas, finished, stopped_at) = run(&model, &tokens, &["he".to_owned()]);
    assert_eq!(
        (deltas.concat() + &content(&finished.rest), stopped_at),
        ("a t".to_owned(), Some((1, "he".to_owned())))
    );
    assert_eq!((finished.inside_tokens, finished.inside_bytes, finished.text_bytes), (1, 1, 3));
}

#[test]
fn what_may_become_a_stop_string_is_held_back_and_comes_out_when_it_does_not() {
    let model = family("gpt2");
    let (deltas, finished, _) =
        run(&model, &byte_ids(&model, b"xababac"), &["abac".to_owned(), "zz".to_owned()]);
    assert_eq!(deltas, ["x", "", "", "", "ab", "", ""]);
    assert_eq!((content(&finished.rest).as_str(), finished.text_bytes), ("", 3));
    let (deltas, finished, _) = run(&model, &byte_ids(&model, b"xab"), &["abc".to_owned()]);
    let rest = content(&finished.rest);
    assert_eq!((deltas.concat().as_str(), rest.as_str(), finished.inside_tokens), ("x", "ab", 3));
}

#[test]
fn special_tokens_and_ids_without_a_token_give_no_text_and_end_the_record() {
    let model = family("gpt2");
    let [a, b] = byte_ids(&model, b"ab")[..] else { panic!("two ids") };
    let end = model.tokenizer.token_id("<|im_end|>").unwrap();
    for silent in [end, model.tokenizer.vocab_size() as u32, u32::MAX] {
        let (deltas, finished, _) = run(&model, &[a, silent, b], &["<|im_end|>".to_owned()]);
        assert_eq!((deltas.concat() + &content(&finished.rest), finished.text_bytes), ("ab".to_owned(), 2));
        assert_eq!((finished.inside_tokens, finished.inside_bytes), (1, 1));
    }
}

#[test]
fn an_empty_stop_string_is_refused() {
    assert_eq!(StopStrings::new(&["a", ""]).err(), Some(TextError::EmptyStop));
}

/// Answers of a model whose reasoning and calls have tokens. The vocabulary has none of the usual names for them, so
/// other special tokens of it stand for the markers.
struct Marked {
    model: TextModel,
    format: Arc<Format>,
    /// The tokens for `<think>`, `</think>`, `<tool_call>` and `</tool_call>`.
    ids: [u32; 4],
}

impl Marked {
    fn new() -> Self {
        let model = family("gpt2");
        let size = model.tokenizer.vocab_size() as u32;
        let ids = [size - 1, size - 2, size - 3, size - 4];
        let names = ["<think>", "</think>", "<tool_call>", "</tool_call>"];
        let id = |text: &str| names.iter().position(|name| *name == text).map(|at| ids[at]);
        let format = Arc::new(Format::detect("<tool_call></tool_call></think>", id));
        Self { model, format, ids }
    }

    /// Reads `output`, in which `0` to `3` stand for the markers and all else for bytes.
    fn run(
        &self,
        output: &str,
        stops: &[&str],
        end: End,
    ) -> (Vec<Part>, FinishedText, Vec<u32>, Option<String>) {
        self.run_ruled(output, stops, StopRule::default(), end)
    }

    /// As `run`, with stop strings under a rule.
    fn run_ruled(
        &self,
        output: &str,
        stops: &[&str],
        rule: StopRule,
        end: End,
    ) -> (Vec<Part>, FinishedText, Vec<u32>, Option<String>) {
        let tokens: Vec<u32> = output
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'3' => self.ids[usize::from(byte - b'0')],
                byte => byte_ids(&self.model, &[byte])[0],
            })
            .collect();
        let tool = Tool { name: "f".into(), description: None, parameters: None, strict: false };
        let reading = Reading { tools: Arc::from([tool]), calls: true, starts_in_reasoning: false };
        let stops = Arc::new(StopStrings::new(stops).unwrap().ruled(rule));
        let mut answer =
            AnswerText::of_format(self.model.tokenizer.clone(), stops, self.format.clone(), reading);
        let (mut parts, mut stopped) = (Vec::new(), None);
        for token in &tokens {
            let delta = answer.push(*token);
            parts.extend(delta.parts);
            stopped = delta.stopped;
        }
        let mut finished = answer.finish(end);
        parts.append(&mut finished.rest);
        (joined(parts), finished, tokens, stopped)
    }
}

fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match (joined.last_mut(), &part) {
            (Some(Part::Content(last)), Part::Content(text))
            | (Some(Part::Reasoning(last)), Part::Reasoning(text))
            | (Some(Part::Arguments(last)), Part::Arguments(text)) => last.push_str(text),
            _ => joined.push(part),
        }
    }
    joined
}

#[test]
fn markers_of_the_format_are_inside_of_the_record() {
    let marked = Marked::new();
    let output = "0hm1\n\nok2{\"name\": \"f\", \"arguments\": {}}3";
    let (parts, finished, tokens, _) = marked.run(output, &[], End::Whole);
    let call = Part::Call { name: "f".into() };
    let content = Part::Content("ok".into());
    assert_eq!(parts, [Part::Reasoning("hm".into()), content, call, Part::Arguments("{}".into())]);
    assert_eq!(finished.inside_tokens, tokens.len());
    let markers = "<think></think><tool_call></tool_call>".len();
    assert_eq!(finished.inside_bytes, tokens.len() - 4 + markers);
    assert_eq!(finished.text_bytes, finished.inside_bytes);
    assert_eq!(finished.reasoning_tokens, 4, "<think>, h, m, </think>");
}

#[test]
fn an_answer_without_markers_has_no_reasoning_tokens() {
    let marked = Marked::new();
    let (parts, finished, tokens, _) = marked.run("plain\n", &[], End::Whole);
    assert_eq!(parts, [Part::Content("plain\n".into())]);
    assert_eq!((finished.inside_tokens, finished.reasoning_tokens), (tokens.len(), 0));
}

#[test]
fn reasoning_that_never_ends_is_all_of_the_answer() {
    let marked = Marked::new();
    let (parts, finished, tokens, _) = marked.run("0hm", &[], End::Cut);
    assert_eq!(parts, [Part::Reasoning("hm".into())]);
    assert_eq!((finished.inside_tokens, finished.reasoning_tokens), (tokens.len(), tokens.len()));
}

#[test]
fn stop_strings_count_outside_of_reasoning_only() {
    let marked = Marked::new();
    let (parts, finished, _, stopped) = marked.run("0a END b1c END d", &["END"], End::Whole);
    assert_eq!(parts, [Part::Reasoning("a END b".into()), Part::Content("c ".into())]);
    assert_eq!(stopped.as_deref(), Some("END"));
    assert_eq!(finished.text_bytes, "<think>a END b</think>c ".len());
    // Text that was held back before reasoning or a marker comes out in its place.
    let (parts, ..) = marked.run("xE0a1EN2", &["END"], End::Whole);
    let texts =
        [Part::Content("xE".into()), Part::Reasoning("a".into()), Part::Content("EN<tool_call>".into())];
    assert_eq!(parts, texts);
}

#[test]
fn a_marker_that_ends_an_included_stop_string_is_inside_and_one_that_is_cut_is_not() {
    let marked = Marked::new();
    let rule = StopRule { after: 0, included: true };
    let (parts, finished, _, stopped) = marked.run_ruled("ab2c", &["b<tool_call>"], rule, End::Whole);
    assert_eq!(parts, [Part::Content("ab<tool_call>".into())]);
    assert_eq!(stopped.as_deref(), Some("b<tool_call>"));
    assert_eq!((finished.inside_tokens, finished.inside_bytes), (3, "ab<tool_call>".len()));
    let (parts, finished, ..) = marked.run_ruled("ab2c", &["b<tool"], rule, End::Whole);
    assert_eq!(parts, [Part::Content("ab<tool".into())]);
    assert_eq!((finished.inside_tokens, finished.inside_bytes), (2, 2));
    let call = "2{\"name\": \"f\", \"arguments\": {}}3";
    let (parts, finished, tokens, _) = marked.run_ruled(call, &["</tool_call>"], rule, End::Whole);
    assert_eq!(parts, [Part::Call { name: "f".into() }, Part::Arguments("{}".into())]);
    assert_eq!(finished.inside_tokens, tokens.len());
}

#[test]
fn an_included_stop_string_keeps_the_reasoning_before_it_inside() {
    let marked = Marked::new();
    let rule = StopRule { after: 0, included: true };
    let (parts, finished, tokens, _) = marked.run_ruled("0stop1a stop b", &["stop"], rule, End::Whole);
    assert_eq!(parts, [Part::Reasoning("stop".into()), Part::Content("a stop".into())]);
    assert_eq!((finished.inside_tokens, finished.reasoning_tokens), (tokens.len() - 2, 6));
}

#[test]
fn a_marker_may_be_a_stop_string() {
    let marked = Marked::new();
    let (parts, finished, tokens, stopped) =
        marked.run("2{\"name\": \"f\", \"arguments\": {}}3", &["</tool_call>"], End::Whole);
    assert_eq!(parts, [Part::Call { name: "f".into() }, Part::Arguments("{}".into())]);
    assert_eq!(stopped.as_deref(), Some("</tool_call>"));
    assert_eq!(finished.inside_tokens, tokens.len() - 1);
}
