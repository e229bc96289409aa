//! Formats as real models have them, and outputs fed to a parser in any cut.
#![allow(dead_code)]

use std::sync::Arc;

use attentionstore_output::{End, Format, Parser, Part, Piece, Reading, Tool};
use serde_json::json;

/// What a model's files say of its format.
#[derive(Clone, Copy)]
pub struct Model {
    pub name: &'static str,
    /// What its chat template says that matters here.
    pub template: &'static str,
    /// Special and added tokens.
    pub tokens: &'static [&'static str],
}

pub const QWEN25: Model = Model {
    name: "hermes",
    template: "{% if tools %}<tool_call>\n{\"name\": <function-name>}\n</tool_call>{% endif %}",
    tokens: &["<|im_end|>", "<tool_call>", "</tool_call>"],
};
pub const QWEN3: Model = Model {
    name: "hermes",
    template: "<tool_call>\n</tool_call> content.split('</think>')[-1]",
    tokens: &["<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>"],
};
/// Hermes 2 Pro has no tokens for its markers.
pub const HERMES2: Model =
    Model { name: "hermes", template: "<tool_call></tool_call>", tokens: &["<|im_end|>"] };
pub const QWEN3_CODER: Model = Model {
    name: "qwen3_coder",
    template: "<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>",
    tokens: &["<|im_end|>", "<tool_call>", "</tool_call>"],
};
pub const SEED: Model = Model {
    name: "seed",
    template: "<seed:tool_call>\n<function=example>\n<parameter=p> <seed:think></seed:think>",
    tokens: &["<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"],
};
pub const MINIMAX: Model = Model {
    name: "minimax",
    template: "<minimax:tool_call>\n<invoke name=\"tool-name-1\"> <think></think>",
    tokens: &["<minimax:tool_call>", "</minimax:tool_call>", "<think>", "</think>"],
};
pub const LLAMA3: Model = Model {
    name: "llama3_json",
    template: "Environment: ipython {\"name\": function name, \"parameters\": dictionary} <|python_tag|>",
    tokens: &["<|python_tag|>", "<|eot_id|>", "<|eom_id|>"],
};
pub const PYTHONIC: Model = Model {
    name: "pythonic",
    template: "[func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)]",
    tokens: &["<|python_tag|>", "<|eot_id|>"],
};
pub const MISTRAL: Model =
    Model { name: "mistral", template: "[AVAILABLE_TOOLS] [TOOL_CALLS]", tokens: &["[TOOL_CALLS]"] };
pub const MISTRAL11: Model = Model {
    name: "mistral",
    template: "[TOOL_CALLS] [ARGS] [THINK] [/THINK]",
    tokens: &["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"],
};
pub const HARMONY: Model = Model {
    name: "harmony",
    template: "<|start|>assistant<|channel|>analysis<|message|>",
    tokens: &[
        "<|start|>",
        "<|channel|>",
        "<|constrain|>",
        "<|message|>",
        "<|end|>",
        "<|call|>",
        "<|return|>",
    ],
};
pub const GEMMA4: Model = Model {
    name: "gemma4",
    template: "<|tool_call>call: <|channel>thought\n<channel|>",
    tokens: &["<|tool_call>", "<tool_call|>", "<|\"|>", "<|channel>", "<channel|>"],
};
pub const GLM: Model = Model {
    name: "glm",
    template: "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key> <think></think>",
    tokens: &[
        "<tool_call>",
        "</tool_call>",
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "<think>",
        "</think>",
    ],
};
pub const KIMI: Model = Model {
    name: "kimi",
    template: "<|tool_calls_section_begin|> <think></think>",
    tokens: &[
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
        "<think>",
        "</think>",
    ],
};
pub const DEEPSEEK31: Model = Model {
    name: "deepseek_v31",
    template: "<｜tool▁calls▁begin｜> <think></think>",
    tokens: &[
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        "<｜tool▁call▁end｜>",
        "<think>",
        "</think>",
    ],
};
pub const DSML: Model = Model {
    name: "dsml",
    template: "<｜DSML｜function_calls> <think></think>",
    tokens: &["｜DSML｜", "<think>", "</think>"],
};
pub const SMOLLM2: Model = Model {
    name: "generic",
    template: "<|im_start|>{{ message['role'] }}",
    tokens: &["<|im_start|>", "<|im_end|>"],
};

pub const ALL: &[Model] = &[
    QWEN25,
    QWEN3,
    HERMES2,
    QWEN3_CODER,
    SEED,
    MINIMAX,
    LLAMA3,
    PYTHONIC,
    MISTRAL,
    MISTRAL11,
    HARMONY,
    GEMMA4,
    GLM,
    KIMI,
    DEEPSEEK31,
    DSML,
    SMOLLM2,
];

const FIRST_ID: u32 = 1000;

impl Model {
    pub fn format(&self) -> Arc<Format> {
        let id =
            |text: &str| (FIRST_ID..).zip(self.tokens).find(|(_, token)| **token == text).map(|(id, _)| id);
        Arc::new(Format::detect(self.template, id))
    }

    /// `output` as it would be generated: markers that are tokens as those, the rest as text.
    pub fn pieces(&self, output: &str) -> Vec<Owned> {
        let (mut pieces, mut rest) = (Vec::new(), output);
        while !rest.is_empty() {
            let next = (FIRST_ID..)
                .zip(self.tokens)
                .filter_map(|(id, token)| Some((rest.find(token)?, id, *token)))
                .min_by_key(|(at, _, token)| (*at, usize::MAX - token.len()));
            let Some((at, id, token)) = next else {
                pieces.push(Owned::Text(rest.to_owned()));
                break;
            };
            if at > 0 {
                pieces.push(Owned::Text(rest[..at].to_owned()));
            }
            pieces.push(Owned::Token(id, token));
            rest = &rest[at + token.len()..];
        }
        pieces
    }
}

#[derive(Clone, Debug)]
pub enum Owned {
    Text(String),
    Token(u32, &'static str),
}

/// Cuts texts into characters.
pub fn atoms(pieces: &[Owned]) -> Vec<Owned> {
    let mut atoms = Vec::new();
    for piece in pieces {
        match piece {
            Owned::Text(text) => atoms.extend(text.chars().map(|c| Owned::Text(c.to_string()))),
            token => atoms.push(token.clone()),
        }
    }
    atoms
}

/// Joins neighbouring texts, but not across the places of `cuts`: indices of atoms.
pub fn joined(atoms: &[Owned], is_cut: impl Fn(usize) -> bool) -> Vec<Owned> {
    let mut pieces: Vec<Owned> = Vec::new();
    for (index, atom) in atoms.iter().enumerate() {
        match (pieces.last_mut(), atom) {
            (Some(Owned::Text(last)), Owned::Text(next)) if !is_cut(index) => last.push_str(next),
            _ => pieces.push(atom.clone()),
        }
    }
    pieces
}

pub fn read(format: &Arc<Format>, reading: &Reading, pieces: &[Owned], end: End) -> Vec<Part> {
    let mut parser = Parser::new(format.clone(), reading.clone());
    let mut parts = Vec::new();
    for piece in pieces {
        let piece = match piece {
            Owned::Text(text) => Piece::Text(text),
            Owned::Token(id, text) if format.tokens().contains_key(id) => Piece::Token { id: *id, text },
            Owned::Token(_, text) => Piece::Text(text),
        };
        parts.extend(parser.push(piece));
    }
    parts.extend(parser.finish(end));
    merged(parts)
}

pub fn merged(parts: Vec<Part>) -> Vec<Part> {
    let mut merged: Vec<Part> = Vec::new();
    for part in parts {
        match (merged.last_mut(), &part) {
            (Some(Part::Content(last)), Part::Content(text))
            | (Some(Part::Reasoning(last)), Part::Reasoning(text))
            | (Some(Part::Arguments(last)), Part::Arguments(text)) => last.push_str(text),
            _ => merged.push(part),
        }
    }
    merged
}

pub fn tools() -> Arc<[Tool]> {
    let tool = |name: &str, strict: bool, parameters: Option<serde_json::Value>| Tool {
        name: name.to_owned(),
        description: Some(format!("The tool {name}.")),
        parameters,
        strict,
    };
    let weather = json!({
        "type": "object",
        "properties": {
            "city": { "type": "string" }, "days": { "type": "integer" },
            "unit": { "type": "string", "enum": ["celsius", "kelvin"] }, "exact": { "type": "boolean" },
            "places": { "type": "array", "items": { "type": "string" } }
        },
        "required": ["city"]
    });
    let write = json!({
        "type": "object",
        "properties": { "path": { "type": "string" }, "text": { "type": "string" }, "options": { "type": "object" } },
        "required": ["path", "text"]
    });
    Arc::from([
        tool("get_weather", true, Some(weather)),
        tool("write_file", false, Some(write)),
        tool("now", false, None),
    ])
}

pub fn reading() -> Reading {
    Reading { tools: tools(), calls: true, starts_in_reasoning: false }
}

/// A generator whose numbers depend on the seed alone.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}
