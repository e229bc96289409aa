//! Writing Lark.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use super::{Expr, Rule};

/// Lark text of `rules`, which begin with rule `root`.
pub fn write(rules: &[Rule], root: usize) -> String {
    let kinds = Kinds::of(rules);
    let mut writer = Writer { kinds, lines: String::new(), next: 0, made: HashMap::new() };
    for (at, rule) in rules.iter().enumerate() {
        let name = writer.name(at);
        let body =
            if writer.kinds.regular[at] { writer.regular(&rule.body) } else { writer.recursive(&rule.body) };
        let _ = writeln!(writer.lines, "{name}: {body}");
    }
    let start = writer.recursive(&Expr::Rule(root));
    format!("start: {start}\n{}", writer.lines)
}

/// The facts about each rule.
struct Kinds {
    /// It refers to no rule that refers back to it, and holds no special token: characters only.
    regular: Vec<bool>,
    /// The empty text satisfies it.
    empty: Vec<bool>,
}

impl Kinds {
    fn of(rules: &[Rule]) -> Self {
        let count = rules.len();
        let mut kinds = Self { regular: vec![false; count], empty: vec![false; count] };
        // Regular rules are found from below: a rule of a circle is never reached.
        repeat_until_settled(|| {
            let found = (0..count).find(|&at| !kinds.regular[at] && kinds.is_regular(&rules[at].body));
            found.inspect(|&at| kinds.regular[at] = true).is_some()
        });
        repeat_until_settled(|| {
            let found = (0..count).find(|&at| !kinds.empty[at] && kinds.is_empty(&rules[at].body));
            found.inspect(|&at| kinds.empty[at] = true).is_some()
        });
        kinds
    }

    fn is_regular(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(_) | Expr::Class(_) => true,
            Expr::Token(_) => false,
            Expr::Rule(at) => self.regular[*at],
            Expr::Sequence(parts) | Expr::Choice(parts) => parts.iter().all(|part| self.is_regular(part)),
            Expr::Repeat(part, ..) => self.is_regular(part),
        }
    }

    fn is_empty(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(text) => text.is_empty(),
            Expr::Class(_) | Expr::Token(_) => false,
            Expr::Rule(at) => self.empty[*at],
            Expr::Sequence(parts) => parts.iter().all(|part| self.is_empty(part)),
            Expr::Choice(parts) => parts.iter().any(|part| self.is_empty(part)),
            Expr::Repeat(part, least, _) => *least == 0 || self.is_empty(part),
        }
    }
}

fn repeat_until_settled(mut change: impl FnMut() -> bool) {
    while change() {}
}

struct Writer {
    kinds: Kinds,
    lines: String,
    next: usize,
    /// Names of the terminals and rules that were made for parts, by their bodies.
    made: HashMap<String, String>,
}

impl Writer {
    /// Terminals have names in capitals, rules in small letters.
    fn name(&self, at: usize) -> String {
        if self.kinds.regular[at] { format!("T{at}") } else { format!("r{at}") }
    }

    /// A part of a terminal.
    fn regular(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::Literal(text) => Value::from(text.as_str()).to_string(),
            Expr::Class(class) => format!("/[{class}]/"),
            Expr::Token(name) => name.clone(),
            Expr::Rule(at) => self.name(*at),
            Expr::Sequence(parts) if parts.is_empty() => "\"\"".to_owned(),
            Expr::Sequence(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.regular_atom(part)).collect();
                parts.join(" ")
            }
            Expr::Choice(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.regular_atom(part)).collect();
                parts.join(" | ")
            }
            Expr::Repeat(part, least, most) => {
                format!("{}{}", self.regular_atom(part), counts(*least, *most))
            }
        }
    }

    /// The same as one name or literal: groups get names, for Lark's may not stand deep in each other.
    fn regular_atom(&mut self, expr: &Expr) -> String {
        let body = self.regular(expr);
        let is_atom = matches!(expr, Expr::Literal(_) | Expr::Class(_) | Expr::Rule(_));
        if is_atom { body } else { self.named("P", body) }
    }

    /// A part of a rule.
    fn recursive(&mut self, expr: &Expr) -> String {
        if self.kinds.is_regular(expr) {
            return self.terminal(expr);
        }
        match expr {
            Expr::Sequence(parts) => self.sequence(parts),
            Expr::Choice(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.recursive_atom(part)).collect();
                parts.join(" | ")
            }
            Expr::Repeat(part, least, most) => {
                format!("{}{}", self.recursive_atom(part), counts(*least, *most))
            }
            Expr::Rule(at) => self.name(*at),
            Expr::Token(name) => name.clone(),
            Expr::Literal(_) | Expr::Class(_) => unreachable!("characters are regular"),
        }
    }

    fn recursive_atom(&mut self, expr: &Expr) -> String {
        let body = self.recursive(expr);
        let is_atom = matches!(expr, Expr::Rule(_) | Expr::Token(_)) || self.kinds.is_regular(expr);
        if is_atom { body } else { self.named("p", body) }
    }

    /// Neighbours that are regular become one terminal.
    fn sequence(&mut self, parts: &[Expr]) -> String {
        let is_regular: Vec<bool> = parts.iter().map(|part| self.kinds.is_regular(part)).collect();
        let mut written = Vec::new();
        let mut from = 0;
        while from < parts.len() {
            let run = is_regular[from..].iter().take_while(|regular| **regular).count();
            if run == 0 {
                written.push(self.recursive_atom(&parts[from]));
            } else {
                written.push(self.terminal(&Expr::Sequence(parts[from..from + run].to_vec())));
            }
            from += run.max(1);
        }
        written.join(" ")
    }

    /// A terminal for `expr`. Lexers find no empty terminal, so one that may be empty is left out where it is.
    fn terminal(&mut self, expr: &Expr) -> String {
        let body = self.regular(expr);
        if !self.kinds.is_empty(expr) {
            return self.named("P", body);
        }
        let whole = self.named("P", body);
        format!("{}?", self.named("P", format!("{whole} & /(?s:.)+/")))
    }

    fn named(&mut self, prefix: &str, body: String) -> String {
        let key = format!("{prefix}:{body}");
        if let Some(name) = self.made.get(&key) {
            return name.clone();
        }
        // The names of the rules themselves begin with other letters.
        let name = format!("{prefix}{}", self.next);
        self.next += 1;
        let _ = writeln!(self.lines, "{name}: {body}");
        self.made.insert(key, name.clone());
        name
    }
}

fn counts(least: u64, most: Option<u64>) -> String {
    match (least, most) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}
