//! The grammar of an output with calls, in llguidance's dialect of Lark.
//!
//! Markers that are tokens stand in it as `<[id]>`: the vocabulary that the grammar is compiled for must keep the bytes of
//! [`Format::tokens`] out of ordinary text.

mod elements;
mod json;
mod literals;
mod patterns;

use crate::families::Family;
use crate::format::Format;
use crate::symbol::{Element, Marker};
use crate::tool::{Choice, Tool};

/// Calls of a format, as rules.
struct Calls {
    /// Begins the calls or, where `each` says so, every call.
    open: Marker,
    close: Marker,
    each: bool,
    /// Between `open` and the first call, between calls, and between the last call and `close`.
    around: (&'static str, &'static str, &'static str),
}

/// Collects rules.
pub(crate) struct Rules<'a> {
    format: &'a Format,
    lines: Vec<String>,
}

impl<'a> Rules<'a> {
    fn new(format: &'a Format) -> Self {
        Self { format, lines: Vec::new() }
    }

    /// Adds a rule, unless one of this name exists.
    pub fn add(&mut self, name: &str, body: &str) {
        let begin = format!("{name}: ");
        if !self.lines.iter().any(|line| line.starts_with(&begin)) {
            self.lines.push(format!("{begin}{body}"));
        }
    }

    /// The rule or terminal of this body: one with the same beginning of its name that exists, or a new one.
    pub fn numbered(&mut self, begin: &str, body: &str) -> String {
        let known = self.lines.iter().find_map(|line| {
            let (name, text) = line.split_once(": ")?;
            (name.starts_with(begin) && text == body).then(|| name.to_owned())
        });
        known.unwrap_or_else(|| {
            let name = format!("{begin}_{}", self.lines.len());
            self.add(&name, body);
            name
        })
    }

    /// Any text up to `close`, the marker included.
    pub fn text_until(&mut self, name: &str, close: &str) -> String {
        let marker = self.format.marker(close);
        self.until(name, &marker)
    }

    /// The same for a marker.
    fn until(&mut self, name: &str, marker: &Marker) -> String {
        self.add("TEXT", r"/(.|\n)*/");
        self.terminal_until("TEXT", name, marker)
    }

    /// A text of `terminal` up to a marker. Tokens are no part of a lexeme: text ends before the first one by itself. A marker
    /// without tokens ends the lexeme of the text as soon as it is complete.
    fn terminal_until(&mut self, terminal: &str, name: &str, marker: &Marker) -> String {
        let elements = marker.elements();
        match elements.iter().position(|element| matches!(element, Element::Token { .. })) {
            Some(0) => format!("{terminal} {}", lark(elements)),
            Some(first) => {
                let before: String = elements[..first].iter().map(Element::text).collect();
                let ended = self.numbered("ENDED", &format!("{terminal} {}", literal(&before)));
                format!("{ended} {}", lark(&elements[first..]))
            }
            None => {
                self.add(&format!("{name}[lazy]"), &format!("{terminal} {}", lark(elements)));
                name.to_owned()
            }
        }
    }

    pub fn marker(&self, text: &str) -> String {
        lark(self.format.marker(text).elements())
    }
}

/// `text` as a regular expression.
pub(crate) fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$/#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// A marker in Lark's notation.
fn lark(elements: &[Element]) -> String {
    let (mut parts, mut text) = (Vec::new(), String::new());
    for element in elements {
        match element {
            Element::Char(c) => text.push(*c),
            Element::Token { id, .. } => {
                if !text.is_empty() {
                    parts.push(literal(&std::mem::take(&mut text)));
                }
                parts.push(format!("<[{id}]>"));
            }
        }
    }
    if !text.is_empty() {
        parts.push(literal(&text));
    }
    parts.join(" ")
}

/// A string in Lark's notation, which is JSON's.
pub(crate) fn literal(text: &str) -> String {
    crate::json::quote(text)
}

fn optional(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {}", literal(text)) }
}

impl Format {
    /// The grammar that holds an output to calls of `tools`, as Lark text; `None` where nothing is to be held to.
    ///
    /// With [`Choice::Required`] and [`Choice::Named`] the output is one call, or with `parallel` at least one. With
    /// [`Choice::Auto`] text is free until a call begins; that is of use only where a tool is strict. Reasoning may come
    /// first where the format has any. The arguments of strict tools satisfy their schemas; those of other tools do so
    /// where a call is forced, as far as the grammar's compiler understands the schema.
    pub fn grammar(&self, tools: &[Tool], choice: &Choice, parallel: bool) -> Option<String> {
        let chosen: Vec<&Tool> = match choice {
            Choice::None => return None,
            Choice::Auto if !tools.iter().any(|tool| tool.strict) => return None,
            Choice::Named(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
            Choice::Auto | Choice::Required => tools.iter().collect(),
        };
        if chosen.is_empty() {
            return None;
        }
        let mut rules = Rules::new(self);
        let calls = self.calls();
        let names: Vec<String> = (0..chosen.len()).map(|index| format!("call_{index}")).collect();
        for (name, tool) in names.iter().zip(&chosen) {
            let body = self.call(tool, name, *choice != Choice::Auto, &mut rules);
            rules.add(name, &body);
        }
        rules.add("call", &names.join(" | "));
        let start = if *choice == Choice::Auto {
            self.free(&calls, parallel, &mut rules)
        } else {
            self.forced(&calls, parallel, &mut rules)
        };
        let reasoning = self.reasoning_rule(&mut rules);
        let mut text = format!("start: {reasoning}{start}\n");
        for line in rules.lines {
            text.push_str(&line);
            text.push('\n');
        }
        Some(text)
    }

    /// Reasoning that an output may begin with; empty if it cannot.
    fn reasoning_rule(&self, rules: &mut Rules<'_>) -> String {
        let Some(reasoning) = &self.reasoning else { return String::new() };
        let closes: Vec<String> = reasoning.closes.iter().map(Marker::text).collect();
        let rest = rules.text_until("reasoning_text", &closes[0]);
        let next = if self.family == Family::Harmony {
            format!(" {}", rules.marker("<|start|>assistant"))
        } else {
            r" /\n*/".to_owned()
        };
        rules.add("reasoning", &format!("{} {rest}{next}", lark(reasoning.open.elements())));
        "reasoning? ".to_owned()
    }

    fn calls(&self) -> Calls {
        let marker = |text| self.marker(text);
        let none = Marker::default;
        let of = |open, close, each, around| Calls { open, close, each, around };
        match self.family {
            Family::Hermes | Family::Generic => {
                of(marker("<tool_call>"), marker("</tool_call>"), true, ("\n", "\n", "\n"))
            }
            Family::Qwen3Coder => of(marker("<tool_call>"), marker("</tool_call>"), true, ("\n", "\n", "\n")),
            Family::Seed => {
                of(marker("<seed:tool_call>"), marker("</seed:tool_call>"), true, ("\n", "\n", "\n"))
            }
            Family::Glm => of(marker("<tool_call>"), marker("</tool_call>"), true, ("", "\n", "")),
            Family::MiniMax => {
                of(marker("<minimax:tool_call>"), marker("</minimax:tool_call>"), false, ("\n", "\n", "\n"))
            }
            Family::Dsml => {
                let (open, close) = ("<｜DSML｜function_calls>", "</｜DSML｜function_calls>");
                of(marker(open), marker(close), false, ("\n", "\n", "\n"))
            }
            Family::Gemma4 => of(marker("<|tool_call>"), marker("<tool_call|>"), true, ("", "", "")),
            Family::Kimi => {
                let (open, close) = ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>");
                of(marker(open), marker(close), false, ("", "", ""))
            }
            Family::DeepSeekV31 => {
                of(marker("<｜tool▁calls▁begin｜>"), marker("<｜tool▁calls▁end｜>"), false, ("", "", ""))
            }
            Family::Mistral if self.marker("[ARGS]").is_token() => {
                of(marker("[TOOL_CALLS]"), none(), true, ("", "", ""))
            }
            Family::Mistral => of(marker("[TOOL_CALLS]"), marker("]"), false, ("[", ", ", "")),
            Family::Llama3Json => of(none(), none(), false, ("", "; ", "")),
            Family::Pythonic => of(marker("["), marker("]"), false, ("", ", ", "")),
            Family::Harmony => of(marker("<|channel|>"), none(), true, ("", "", "")),
        }
    }

    fn forced(&self, calls: &Calls, parallel: bool, rules: &mut Rules<'_>) -> String {
        let open = lark(calls.open.elements());
        self.tail_rule(calls, parallel, rules);
        // A call of harmony ends the answer.
        if calls.each && parallel && self.family != Family::Harmony {
            let again = format!("{} {open} tail", optional(calls.around.1));
            return format!("{open} tail ({})*", again.trim());
        }
        format!("{open} tail")
    }

    /// `tail`: everything after an opening marker up to the closing one.
    fn tail_rule(&self, calls: &Calls, parallel: bool, rules: &mut Rules<'_>) {
        let (first, between, last) = calls.around;
        let more = if parallel && !calls.each {
            format!(" ({} call)*", optional(between).trim())
        } else {
            String::new()
        };
        let close = lark(calls.close.elements());
        rules.add("tail", format!("{} call{more}{} {close}", optional(first), optional(last)).trim());
    }

    /// Text that is free until a call begins.
    fn free(&self, calls: &Calls, parallel: bool, rules: &mut Rules<'_>) -> String {
        self.tail_rule(calls, parallel, rules);
        rules.add("TEXT", r"/(.|\n)*/");
        let repeat = if parallel || !calls.each { "*" } else { "?" };
        match self.family {
            Family::Llama3Json | Family::Pythonic => {
                rules.add("OTHER", r"/(\s*[^\s{\[](.|\n)*)?/");
                let tag = self.marker("<|python_tag|>");
                let tag = if tag.is_token() { format!("{}? ", lark(tag.elements())) } else { String::new() };
                format!("(OTHER | {tag}{} tail)", lark(calls.open.elements()))
            }
            Family::Harmony => {
                rules.add("message", &format!("{} TEXT", rules.marker("<|message|>")));
                let names = r#"("final" | "commentary")"#;
                let next = rules.marker("<|end|><|start|>assistant");
                let channel = rules.marker("<|channel|>");
                format!("({channel} \"commentary\" message {next})? {channel} ({names} message | tail)")
            }
            Family::Generic => {
                // Without tags a call would have to begin the output.
                rules.add("OTHER", r"/(\s*[^\s{](.|\n)*)?/");
                rules.add("first[lazy]", &format!("OTHER {}", lark(calls.open.elements())));
                let next = rules.until("next", &calls.open);
                let more = if parallel { format!("({next} tail)* ") } else { String::new() };
                format!("(OTHER | first tail {more}TEXT)")
            }
            _ => {
                let next = rules.until("next", &calls.open);
                format!("({next} tail){repeat} TEXT")
            }
        }
    }

    /// One call of `tool`, without the markers around it.
    fn call(&self, tool: &Tool, rule: &str, forced: bool, rules: &mut Rules<'_>) -> String {
        let schema = |rules: &mut Rules<'_>| json::arguments(tool, rule, forced, rules);
        let object = |key: &str, rules: &mut Rules<'_>| {
            let head = format!("{{\"name\": {}, \"{key}\": ", crate::json::quote(&tool.name));
            format!("{} {} \"}}\"", literal(&head), schema(rules))
        };
        match self.family {
            Family::Hermes | Family::Generic => object("arguments", rules),
            Family::Llama3Json => object("parameters", rules),
            Family::Mistral if self.marker("[ARGS]").is_token() => {
                let arguments = schema(rules);
                format!("{} {} {arguments}", literal(&tool.name), rules.marker("[ARGS]"))
            }
            Family::Mistral => object("arguments", rules),
            Family::Kimi => {
                let arguments = schema(rules);
                let begin = rules.marker("<|tool_call_begin|>");
                let (separator, end) =
                    (rules.marker("<|tool_call_argument_begin|>"), rules.marker("<|tool_call_end|>"));
                let name = literal(&format!("functions.{}:", tool.name));
                format!("{begin} {name} /[0-9]+/ {separator} {arguments} {end}")
            }
            Family::DeepSeekV31 => {
                let arguments = schema(rules);
                let (begin, end) =
                    (rules.marker("<｜tool▁call▁begin｜>"), rules.marker("<｜tool▁call▁end｜>"));
                format!(
                    "{begin} {} {} {arguments} {end}",
                    literal(&tool.name),
                    rules.marker("<｜tool▁sep｜>")
                )
            }
            Family::Harmony => {
                let arguments = schema(rules);
                let head = literal(&format!("commentary to=functions.{} ", tool.name));
                let (constrain, message) = (rules.marker("<|constrain|>"), rules.marker("<|message|>"));
                format!("{head} {constrain} \"json\" {message} {arguments}")
            }
            Family::Qwen3Coder | Family::Seed | Family::MiniMax | Family::Dsml | Family::Glm => {
                elements::call(self.family, tool, rule, forced, rules)
            }
            Family::Gemma4 | Family::Pythonic => literals::call(self.family, tool, rule, forced, rules),
        }
    }
}
