//! Reading GBNF.

use std::collections::HashMap;

use super::{Expr, Rule};
use crate::error::GrammarError;
use crate::limits::{MOST_REPEATS, MOST_RULES};
use crate::source::Source;

/// Groups inside groups.
const MOST_DEPTH: usize = 64;

pub fn read(source: &Source, text: &str) -> Result<Vec<Rule>, GrammarError> {
    let mut reader = Reader {
        source,
        text: text.chars().collect(),
        at: 0,
        names: HashMap::new(),
        rules: Vec::new(),
        depth: 0,
    };
    reader.blank(true);
    while reader.peek().is_some() {
        reader.rule()?;
    }
    reader.finish()
}

struct Reader<'a> {
    source: &'a Source,
    text: Vec<char>,
    at: usize,
    /// Places of rules by name, also of those that are only referred to so far.
    names: HashMap<String, usize>,
    rules: Vec<(String, Option<Expr>)>,
    depth: usize,
}

type Read<T> = Result<T, GrammarError>;

impl Reader<'_> {
    fn finish(self) -> Read<Vec<Rule>> {
        let source = self.source;
        let defined = |(name, body): (String, Option<Expr>)| match body {
            Some(body) => Ok(Rule { name, body }),
            None => Err(GrammarError::invalid(source.kind(), format!("the rule {name} is not defined"))),
        };
        self.rules.into_iter().map(defined).collect()
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, expected: char) -> bool {
        let is_there = self.peek() == Some(expected);
        self.at += usize::from(is_there);
        is_there
    }

    fn error(&self, detail: &str) -> GrammarError {
        let line = self.text[..self.at.min(self.text.len())].iter().filter(|c| **c == '\n').count() + 1;
        GrammarError::invalid(self.source.kind(), format!("line {line}: {detail}"))
    }

    /// Passes blanks and comments, and line ends where `lines`.
    fn blank(&mut self, lines: bool) {
        while let Some(character) = self.peek() {
            match character {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                        self.at += 1;
                    }
                }
                ' ' | '\t' => self.at += 1,
                '\n' | '\r' if lines => self.at += 1,
                _ => return,
            }
        }
    }

    fn rule(&mut self) -> Read<()> {
        let name = self.name();
        if name.is_empty() {
            return Err(self.error("the name of a rule is expected"));
        }
        self.blank(true);
        if !(self.take(':') && self.take(':') && self.take('=')) {
            return Err(self.error("::= is expected after the name of a rule"));
        }
        self.blank(true);
        let place = self.place(name)?;
        let body = self.choice(false)?;
        if self.rules[place].1.replace(body).is_some() {
            return Err(self.error(&format!("the rule {} is defined twice", self.rules[place].0)));
        }
        if self.peek().is_some_and(|c| c != '\n' && c != '\r') {
            return Err(self.error("the end of the line is expected"));
        }
        self.blank(true);
        Ok(())
    }

    fn name(&mut self) -> String {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            self.at += 1;
        }
        self.text[from..self.at].iter().collect()
    }

    fn place(&mut self, name: String) -> Read<usize> {
        if let Some(&place) = self.names.get(&name) {
            return Ok(place);
        }
        if self.rules.len() == MOST_RULES {
            return Err(GrammarError::too_large(
                self.source.kind(),
                "rules",
                MOST_RULES + 1,
                MOST_RULES as u64,
            ));
        }
        self.names.insert(name.clone(), self.rules.len());
        self.rules.push((name, None));
        Ok(self.rules.len() - 1)
    }

    fn choice(&mut self, nested: bool) -> Read<Expr> {
        let mut options = vec![self.sequence(nested)?];
        while self.take('|') {
            self.blank(true);
            options.push(self.sequence(nested)?);
        }
        Ok(if options.len() == 1 { options.remove(0) } else { Expr::Choice(options) })
    }

    fn sequence(&mut self, nested: bool) -> Read<Expr> {
        let mut parts = Vec::new();
        while let Some(part) = self.part(nested)? {
            parts.push(part);
            self.blank(nested);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Sequence(parts) })
    }

    /// The next part of a sequence with its repetitions; `None`: the sequence ends here.
    fn part(&mut self, nested: bool) -> Read<Option<Expr>> {
        let mut part = match self.peek() {
            Some('"') => self.literal()?,
            Some('[') => self.class()?,
            Some('(') => self.group()?,
            Some('<') => self.token()?,
            Some('!') => return Err(self.unsupported("! before a token")),
            Some('.') => {
                self.at += 1;
                Expr::Class(r"\x{0}-\x{10FFFF}".to_owned())
            }
            Some(c) if c.is_ascii_alphanumeric() => {
                let name = self.name();
                Expr::Rule(self.place(name)?)
            }
            _ => return Ok(None),
        };
        self.blank(nested);
        while let Some((least, most)) = self.repetition()? {
            part = Expr::Repeat(Box::new(part), least, most);
            self.blank(nested);
        }
        Ok(Some(part))
    }

    fn unsupported(&self, name: &str) -> GrammarError {
        let line = self.text[..self.at].iter().filter(|c| **c == '\n').count() + 1;
        GrammarError::Unsupported {
            kind: self.source.kind(),
            name: name.to_owned(),
            place: format!("line {line}"),
        }
    }

    fn group(&mut self) -> Read<Expr> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            let of = "groups inside each other";
            return Err(GrammarError::too_large(self.source.kind(), of, self.depth, MOST_DEPTH as u64));
        }
        self.blank(true);
        let inside = self.choice(true)?;
        self.depth -= 1;
        if self.take(')') { Ok(inside) } else { Err(self.error(") is expected")) }
    }

    fn token(&mut self) -> Read<Expr> {
        let from = self.at;
        while self.peek().is_some_and(|c| c != '>' && c != '\n') {
            self.at += 1;
        }
        if !self.take('>') {
            return Err(self.error("> is expected after the name of a token"));
        }
        Ok(Expr::Token(self.text[from..self.at].iter().collect()))
    }

    fn repetition(&mut self) -> Read<Option<(u64, Option<u64>)>> {
        Ok(match self.peek() {
            Some('*') => self.passed((0, None)),
            Some('+') => self.passed((1, None)),
            Some('?') => self.passed((0, Some(1))),
            Some('{') => {
                self.at += 1;
                Some(self.counts()?)
            }
            _ => None,
        })
    }

    fn passed<T>(&mut self, value: T) -> Option<T> {
        self.at += 1;
        Some(value)
    }

    fn counts(&mut self) -> Read<(u64, Option<u64>)> {
        self.blank(true);
        let least = self.count()?;
        self.blank(true);
        let counts = if self.take(',') {
            self.blank(true);
            let most = self.count()?;
            self.blank(true);
            (least.unwrap_or(0), most)
        } else {
            let exactly = least.ok_or_else(|| self.error("a number is expected after {"))?;
            (exactly, Some(exactly))
        };
        match (self.take('}'), counts) {
            (false, _) => Err(self.error("} is expected")),
            (true, (least, Some(most))) if least > most => {
                Err(self.error("a repetition has more at least than at most"))
            }
            _ => Ok(counts),
        }
    }

    fn count(&mut self) -> Read<Option<u64>> {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.text[from..self.at].iter().collect();
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(count) if count <= MOST_REPEATS => Ok(Some(count)),
            _ => Err(GrammarError::too_large(
                self.source.kind(),
                "repetitions of one part",
                digits,
                MOST_REPEATS,
            )),
        }
    }

    fn literal(&mut self) -> Read<Expr> {
        self.at += 1;
        let mut text = String::new();
        while !self.take('"') {
            text.push(self.character("a literal")?);
        }
        Ok(Expr::Literal(text))
    }

    fn class(&mut self) -> Read<Expr> {
        self.at += 1;
        let mut class = String::new();
        if self.take('^') {
            class.push('^');
        }
        let inverted = class.len();
        while !self.take(']') {
            let first = self.character("a class")?;
            class.push_str(&escaped(first));
            if self.peek() == Some('-') && self.text.get(self.at + 1) != Some(&']') {
                self.at += 1;
                let last = self.character("a class")?;
                if last < first {
                    return Err(self.error("a range of characters ends before it begins"));
                }
                class.push('-');
                class.push_str(&escaped(last));
            }
        }
        match (class.len() > inverted, inverted) {
            (true, _) => Ok(Expr::Class(class)),
            (false, 0) => Err(self.error("a class is empty")),
            (false, _) => Ok(Expr::Class(r"\x{0}-\x{10FFFF}".to_owned())),
        }
    }

    /// One character of a literal or a class, escaped or not.
    fn character(&mut self, of: &str) -> Read<char> {
        let ends = || self.error(&format!("{of} does not end"));
        let character = self.peek().ok_or_else(ends)?;
        self.at += 1;
        if character != '\\' {
            return Ok(character);
        }
        let escape = self.peek().ok_or_else(|| self.error(&format!("{of} does not end")))?;
        self.at += 1;
        match escape {
            'x' => self.hexadecimal(2),
            'u' => self.hexadecimal(4),
            'U' => self.hexadecimal(8),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'n' => Ok('\n'),
            '\\' | '"' | '[' | ']' | '-' | '^' | '/' | '\'' => Ok(escape),
            other => Err(self.error(&format!("\\{other} is no escape"))),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Read<char> {
        let end = (self.at + digits).min(self.text.len());
        let text: String = self.text[self.at..end].iter().collect();
        self.at = end;
        let value = if text.len() == digits { u32::from_str_radix(&text, 16).ok() } else { None };
        value.and_then(char::from_u32).ok_or_else(|| self.error(&format!("\\{text} is no character")))
    }
}

/// A character inside the brackets of a regular expression.
fn escaped(character: char) -> String {
    if character.is_ascii_alphanumeric() {
        character.to_string()
    } else {
        format!("\\x{{{:X}}}", u32::from(character))
    }
}
