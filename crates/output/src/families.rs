//! The families of formats: how each is recognised, and its markers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::body::Form;
use crate::body::gemma::GemmaForm;
use crate::body::harmony::HarmonyForm;
use crate::body::keyed::KeyedForm;
use crate::body::named::NamedForm;
use crate::body::object::ObjectForm;
use crate::body::pythonic::PythonicForm;
use crate::body::xml::{Typed, XmlForm};
use crate::opening::{Opening, Reasoning};
use crate::symbol::Marker;

/// Strings of markers that are tokens in some vocabulary.
pub(crate) const TOKENS: &[&str] = &[
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[CALL_ID]",
    "[THINK]",
    "[/THINK]",
    "<|python_tag|>",
    "<|start|>",
    "<|channel|>",
    "<|constrain|>",
    "<|message|>",
    "<|end|>",
    "<|call|>",
    "<|return|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|\"|>",
    "<|channel>",
    "<channel|>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "｜DSML｜",
    "<minimax:tool_call>",
    "</minimax:tool_call>",
    "<seed:tool_call>",
    "</seed:tool_call>",
    "<seed:think>",
    "</seed:think>",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Hermes,
    Qwen3Coder,
    Seed,
    MiniMax,
    Dsml,
    Glm,
    Llama3Json,
    Pythonic,
    Mistral,
    Kimi,
    DeepSeekV31,
    Gemma4,
    Harmony,
    Generic,
}

type Known = [(String, u32)];

fn has(known: &Known, text: &str) -> bool {
    known.iter().any(|(name, _)| name == text)
}

impl Family {
    /// The first family whose marks the template or the vocabulary bears; those whose marks contain others' come first.
    pub fn detect(template: &str, known: &Known) -> Self {
        let says = |text: &str| template.contains(text);
        let token = |text: &str| has(known, text);
        let python_list = ["[func_name1(", "[func1(", "func_name1(params_name1="];
        if token("<|channel|>") && token("<|message|>") && token("<|start|>") {
            Family::Harmony
        } else if token("<|tool_call>") && token("<|\"|>") {
            Family::Gemma4
        } else if says("<|tool_calls_section_begin|>") || token("<|tool_calls_section_begin|>") {
            Family::Kimi
        } else if says("｜DSML｜") || token("｜DSML｜") {
            Family::Dsml
        } else if says("<｜tool▁calls▁begin｜>") {
            Family::DeepSeekV31
        } else if says("<minimax:tool_call>") {
            Family::MiniMax
        } else if says("[TOOL_CALLS]") || token("[TOOL_CALLS]") {
            Family::Mistral
        } else if says("<arg_key>") {
            Family::Glm
        } else if says("<seed:tool_call>") {
            Family::Seed
        } else if says("<function=") && says("<parameter=") {
            Family::Qwen3Coder
        } else if says("<tool_call>") {
            Family::Hermes
        } else if python_list.iter().any(|text| says(text)) {
            Family::Pythonic
        } else if says("<|python_tag|>") || says("ipython") && says("\"parameters\"") {
            Family::Llama3Json
        } else {
            Family::Generic
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Family::Hermes => "hermes",
            Family::Qwen3Coder => "qwen3_coder",
            Family::Seed => "seed",
            Family::MiniMax => "minimax",
            Family::Dsml => "dsml",
            Family::Glm => "glm",
            Family::Llama3Json => "llama3_json",
            Family::Pythonic => "pythonic",
            Family::Mistral => "mistral",
            Family::Kimi => "kimi",
            Family::DeepSeekV31 => "deepseek_v31",
            Family::Gemma4 => "gemma4",
            Family::Harmony => "harmony",
            Family::Generic => "generic",
        }
    }

    /// Where calls begin, and the ends of messages inside of an answer.
    pub fn openings(self, known: &Known) -> (Vec<Opening>, Vec<Marker>) {
        let marker = |text: &str| Marker::new(text, known);
        let bare = || object(ObjectForm { known: true, more: true, ..ObjectForm::default() });
        let openings = match self {
            Family::Hermes => {
                let close = Some(marker("</tool_call>"));
                let form = object(ObjectForm { close, list: true, more: true, known: false });
                vec![Opening::new(marker("<tool_call>"), form)]
            }
            Family::Generic => {
                let close = Some(marker("</tool_call>"));
                let form = object(ObjectForm { close, list: true, more: true, known: false });
                vec![Opening::new(marker("<tool_call>"), form), Opening::at_start('{', bare())]
            }
            Family::Llama3Json | Family::Pythonic => {
                let list = Form::Pythonic(Arc::new(PythonicForm { known: true }));
                let tagged = object(ObjectForm { more: true, ..ObjectForm::default() });
                vec![
                    Opening::new(marker("<|python_tag|>"), tagged),
                    Opening::at_start('{', bare()),
                    Opening::at_start('[', list),
                ]
            }
            Family::Qwen3Coder => vec![tagged(("<tool_call>", "</tool_call>"), known)],
            Family::Seed => vec![tagged(("<seed:tool_call>", "</seed:tool_call>"), known)],
            Family::MiniMax => vec![minimax(known)],
            Family::Dsml => vec![dsml(known)],
            Family::Glm => vec![glm(known)],
            Family::Mistral => vec![mistral(known)],
            Family::Kimi => kimi(known),
            Family::DeepSeekV31 => deepseek(known),
            Family::Gemma4 => gemma(known),
            Family::Harmony => return harmony(known),
        };
        (openings, Vec::new())
    }

    /// The tokens of all markers of a format.
    pub fn token_ids(self, known: &Known, reasoning: Option<&Reasoning>) -> BTreeSet<u32> {
        let texts: &[&str] = match self {
            Family::Hermes | Family::Generic | Family::Qwen3Coder => &["<tool_call>", "</tool_call>"],
            Family::Seed => &["<seed:tool_call>", "</seed:tool_call>"],
            Family::MiniMax => &["<minimax:tool_call>", "</minimax:tool_call>"],
            Family::Dsml => &["｜DSML｜"],
            Family::Glm => {
                &["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"]
            }
            Family::Llama3Json | Family::Pythonic => &["<|python_tag|>"],
            Family::Mistral => &["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"],
            Family::Kimi => &[
                "<|tool_calls_section_begin|>",
                "<|tool_calls_section_end|>",
                "<|tool_call_begin|>",
                "<|tool_call_argument_begin|>",
                "<|tool_call_end|>",
            ],
            Family::DeepSeekV31 => &[
                "<｜tool▁calls▁begin｜>",
                "<｜tool▁calls▁end｜>",
                "<｜tool▁call▁begin｜>",
                "<｜tool▁sep｜>",
                "<｜tool▁call▁end｜>",
            ],
            Family::Gemma4 => &["<|tool_call>", "<tool_call|>", "<|\"|>"],
            Family::Harmony => &[
                "<|start|>",
                "<|channel|>",
                "<|constrain|>",
                "<|message|>",
                "<|end|>",
                "<|call|>",
                "<|return|>",
            ],
        };
        let of_calls = texts.iter().flat_map(|text| Marker::new(text, known).token_ids().collect::<Vec<_>>());
        let around = reasoning.into_iter().flat_map(|r| std::iter::once(&r.open).chain(&r.closes));
        of_calls.chain(around.flat_map(Marker::token_ids)).collect()
    }
}

/// The markers of reasoning, whatever the form of calls. A pair counts if the template speaks of it, or if the vocabulary
/// has tokens for both.
pub(crate) fn reasoning(family: Family, template: &str, known: &Known) -> Option<Reasoning> {
    let marker = |text: &str| Marker::new(text, known);
    if family == Family::Harmony {
        let open = marker("<|channel|>analysis<|message|>");
        return Some(Reasoning { open, closes: harmony_ends(known) });
    }
    let pairs = [
        ("<think>", "</think>", "<think>"),
        ("[THINK]", "[/THINK]", "[THINK]"),
        ("<seed:think>", "</seed:think>", "<seed:think>"),
        ("<|channel>", "<channel|>", "<|channel>thought"),
    ];
    let of_model = |(open, close, _): &&(&str, &str, &str)| {
        template.contains(*close) || has(known, open) && has(known, close)
    };
    let (_, close, open) = pairs.iter().find(of_model)?;
    Some(Reasoning { open: marker(open), closes: vec![marker(close)] })
}

fn object(form: ObjectForm) -> Form {
    Form::Object(Arc::new(form))
}

fn tagged((open, close): (&str, &str), known: &Known) -> Opening {
    let marker = |text: &str| Marker::new(text, known);
    let form = XmlForm {
        call: (marker("<function="), marker(">")),
        call_end: marker("</function>"),
        parameter: marker("<parameter="),
        key_ends: vec![(marker(">"), Typed::Schema)],
        parameter_end: marker("</parameter>"),
        close: marker(close),
        trims: true,
    };
    Opening::new(marker(open), Form::Xml(Arc::new(form)))
}

fn minimax(known: &Known) -> Opening {
    let marker = |text: &str| Marker::new(text, known);
    let form = XmlForm {
        call: (marker("<invoke name=\""), marker("\">")),
        call_end: marker("</invoke>"),
        parameter: marker("<parameter name=\""),
        key_ends: vec![(marker("\">"), Typed::Schema)],
        parameter_end: marker("</parameter>"),
        close: marker("</minimax:tool_call>"),
        trims: false,
    };
    Opening::new(marker("<minimax:tool_call>"), Form::Xml(Arc::new(form)))
}

fn dsml(known: &Known) -> Opening {
    let marker = |text: &str| Marker::new(text, known);
    let form = XmlForm {
        call: (marker("<｜DSML｜invoke name=\""), marker("\">")),
        call_end: marker("</｜DSML｜invoke>"),
        parameter: marker("<｜DSML｜parameter name=\""),
        key_ends: vec![
            (marker("\" string=\"true\">"), Typed::Text),
            (marker("\" string=\"false\">"), Typed::Json),
            (marker("\">"), Typed::Schema),
        ],
        parameter_end: marker("</｜DSML｜parameter>"),
        close: marker("</｜DSML｜function_calls>"),
        trims: false,
    };
    Opening::new(marker("<｜DSML｜function_calls>"), Form::Xml(Arc::new(form)))
}

fn glm(known: &Known) -> Opening {
    let marker = |text: &str| Marker::new(text, known);
    let form = KeyedForm {
        key: (marker("<arg_key>"), marker("</arg_key>")),
        value: (marker("<arg_value>"), marker("</arg_value>")),
        close: marker("</tool_call>"),
    };
    Opening::new(marker("<tool_call>"), Form::Keyed(Arc::new(form)))
}

/// A list of objects as before v11, or a name and its arguments.
fn mistral(known: &Known) -> Opening {
    let marker = |text: &str| Marker::new(text, known);
    let list = object(ObjectForm { list: true, ..ObjectForm::default() });
    let named = NamedForm {
        begin: None,
        separator: marker("[ARGS]"),
        id: Some(marker("[CALL_ID]")),
        end: None,
        close: None,
        name: |name| name,
    };
    let either = Form::Either(Arc::new((list, Form::Named(Arc::new(named)))));
    Opening::new(marker("[TOOL_CALLS]"), either)
}

/// A section of calls; a call without its section is read too.
fn kimi(known: &Known) -> Vec<Opening> {
    let marker = |text: &str| Marker::new(text, known);
    let names = NamedForm {
        begin: Some(marker("<|tool_call_begin|>")),
        separator: marker("<|tool_call_argument_begin|>"),
        id: None,
        end: Some(marker("<|tool_call_end|>")),
        close: Some(marker("<|tool_calls_section_end|>")),
        name: kimi_name,
    };
    section("<|tool_calls_section_begin|>", names, known)
}

/// `functions.f:0` names the tool `f`, and is the call's id.
fn kimi_name(id: &str) -> &str {
    let name = id.strip_prefix("functions.").unwrap_or(id);
    match name.rsplit_once(':') {
        Some((name, count)) if count.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}

fn deepseek(known: &Known) -> Vec<Opening> {
    let marker = |text: &str| Marker::new(text, known);
    let names = NamedForm {
        begin: Some(marker("<｜tool▁call▁begin｜>")),
        separator: marker("<｜tool▁sep｜>"),
        id: None,
        end: Some(marker("<｜tool▁call▁end｜>")),
        close: Some(marker("<｜tool▁calls▁end｜>")),
        name: |name| name,
    };
    section("<｜tool▁calls▁begin｜>", names, known)
}

fn section(open: &str, names: NamedForm, known: &Known) -> Vec<Opening> {
    let alone = NamedForm { begin: None, ..names.clone() };
    let begin = names.begin.clone().unwrap_or_default();
    vec![
        Opening::new(Marker::new(open, known), Form::Named(Arc::new(names))),
        Opening::new(begin, Form::Named(Arc::new(alone))),
    ]
}

fn gemma(known: &Known) -> Vec<Opening> {
    let marker = |text: &str| Marker::new(text, known);
    let quote = marker("<|\"|>").token_ids().next();
    let form = |quote| GemmaForm { call: marker("call:"), quote, close: marker("<tool_call|>") };
    let opening = |quote| Opening::new(marker("<|tool_call>"), Form::Gemma(Arc::new(form(quote))));
    quote.map(opening).into_iter().collect()
}

fn harmony_ends(known: &Known) -> Vec<Marker> {
    ["<|end|>", "<|call|>", "<|return|>"].iter().map(|text| Marker::new(text, known)).collect()
}

/// A header begins with its channel, with a new message, or, right after the prompt, with its recipient.
fn harmony(known: &Known) -> (Vec<Opening>, Vec<Marker>) {
    let marker = |text: &str| Marker::new(text, known);
    let ends = harmony_ends(known);
    let form = Arc::new(HarmonyForm { message: marker("<|message|>"), ends: ends.clone() });
    let opening = |text: &str| Opening::new(marker(text), Form::Harmony(form.clone()));
    let recipient = Opening { at_start: true, ..opening(" to=") };
    (vec![opening("<|start|>"), opening("<|channel|>"), recipient], ends)
}
