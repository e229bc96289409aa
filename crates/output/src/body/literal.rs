//! Literals of Python, and of Gemma's notation, turned into JSON while they come.

use crate::json::{Fed, Scanner, escape, quote};
use crate::symbol::Symbol;

/// Deeper literals are refused.
const MOST_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Quoted strings, `True`, `None`, tuples.
    Python,
    /// Strings between two of this token, keys without quotation marks.
    Gemma { quote: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    BareKey,
    Colon,
    Next,
    Text { key: bool },
    Escape { key: bool },
    Hex { key: bool, value: u32, left: u8 },
    Word,
}

#[derive(Debug)]
pub(crate) struct Literal {
    dialect: Dialect,
    stack: Vec<char>,
    state: State,
    word: String,
    /// The quotation mark that ends the string.
    mark: char,
    /// A comma came; it is written when another value follows.
    comma: bool,
}

impl Literal {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, stack: Vec::new(), state: State::Value, word: String::new(), mark: '"', comma: false }
    }

    /// Takes one symbol, and appends to `json` what it adds.
    pub fn feed(&mut self, symbol: &Symbol, json: &mut String) -> Fed {
        match self.state {
            State::Text { .. } | State::Escape { .. } | State::Hex { .. } => return self.text(symbol, json),
            State::Word => return self.in_word(symbol, json),
            State::BareKey => return self.bare_key(symbol, json),
            _ if symbol.is_space() => return Fed::More,
            _ => {}
        }
        if self.opens_text(symbol) {
            let key = self.state == State::KeyOrEnd;
            if !key && !matches!(self.state, State::Value | State::ValueOrEnd) {
                return Fed::Bad;
            }
            self.separate(json);
            json.push('"');
            return self.go(State::Text { key });
        }
        let Some(c) = symbol.char() else { return Fed::Bad };
        match self.state {
            State::ValueOrEnd | State::Next if matches!(c, ']' | ')') => self.close(c, json),
            State::KeyOrEnd | State::Next if c == '}' => self.close(c, json),
            State::Value | State::ValueOrEnd => self.begin(c, json),
            State::KeyOrEnd if c != ',' && c != ':' => {
                self.separate(json);
                self.word.push(c);
                self.go(State::BareKey)
            }
            State::Colon if c == ':' => {
                json.push_str(": ");
                self.go(State::Value)
            }
            State::Next if c == ',' => {
                self.comma = true;
                self.go(if self.stack.last() == Some(&'{') { State::KeyOrEnd } else { State::ValueOrEnd })
            }
            _ => Fed::Bad,
        }
    }

    fn go(&mut self, state: State) -> Fed {
        self.state = state;
        Fed::More
    }

    fn opens_text(&mut self, symbol: &Symbol) -> bool {
        match (self.dialect, symbol) {
            (Dialect::Python, Symbol::Char(c @ ('"' | '\''))) => {
                self.mark = *c;
                true
            }
            (Dialect::Gemma { quote }, Symbol::Token { id, .. }) => *id == quote,
            _ => false,
        }
    }

    fn separate(&mut self, json: &mut String) {
        if std::mem::take(&mut self.comma) {
            json.push_str(", ");
        }
    }

    fn begin(&mut self, c: char, json: &mut String) -> Fed {
        let (written, state) = match c {
            '{' => ('{', State::KeyOrEnd),
            '[' => ('[', State::ValueOrEnd),
            '(' if self.dialect == Dialect::Python => ('[', State::ValueOrEnd),
            ',' | ':' | '}' | ']' | ')' => return Fed::Bad,
            _ => {
                self.separate(json);
                self.word.push(c);
                return self.go(State::Word);
            }
        };
        if self.stack.len() == MOST_DEPTH {
            return Fed::Bad;
        }
        self.separate(json);
        json.push(written);
        self.stack.push(c);
        self.go(state)
    }

    fn close(&mut self, c: char, json: &mut String) -> Fed {
        let (opened, written) = match c {
            '}' => ('{', '}'),
            ')' => ('(', ']'),
            _ => ('[', ']'),
        };
        if self.stack.pop() != Some(opened) {
            return Fed::Bad;
        }
        self.comma = false;
        json.push(written);
        self.end()
    }

    fn end(&mut self) -> Fed {
        self.state = State::Next;
        if self.stack.is_empty() { Fed::Done } else { Fed::More }
    }

    fn end_text(&mut self, key: bool, json: &mut String) -> Fed {
        json.push('"');
        if key { self.go(State::Colon) } else { self.end() }
    }

    fn text(&mut self, symbol: &Symbol, json: &mut String) -> Fed {
        let c = match (symbol, self.dialect) {
            (Symbol::Token { id, .. }, Dialect::Gemma { quote }) if *id == quote => {
                let key = matches!(self.state, State::Text { key: true });
                return self.end_text(key, json);
            }
            (Symbol::Token { .. }, _) => return Fed::Bad,
            (Symbol::Char(c), _) => *c,
        };
        match self.state {
            State::Text { key } if self.dialect == Dialect::Python && c == self.mark => {
                self.end_text(key, json)
            }
            State::Text { key } if self.dialect == Dialect::Python && c == '\\' => {
                self.go(State::Escape { key })
            }
            State::Escape { key } => self.escape(c, key, json),
            State::Hex { key, value, left } => {
                let Some(digit) = c.to_digit(16) else { return Fed::Bad };
                let value = value * 16 + digit;
                if left > 1 {
                    return self.go(State::Hex { key, value, left: left - 1 });
                }
                escape(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER), json);
                self.go(State::Text { key })
            }
            _ => {
                escape(c, json);
                Fed::More
            }
        }
    }

    fn escape(&mut self, c: char, key: bool, json: &mut String) -> Fed {
        let hex = |left| State::Hex { key, value: 0, left };
        match c {
            'x' => return self.go(hex(2)),
            'u' => return self.go(hex(4)),
            'U' => return self.go(hex(8)),
            '\n' => {}
            'n' => escape('\n', json),
            't' => escape('\t', json),
            'r' => escape('\r', json),
            'b' => escape('\u{8}', json),
            'f' => escape('\u{c}', json),
            '0' => escape('\0', json),
            '\\' | '"' | '\'' => escape(c, json),
            // Python keeps a backslash that begins no escape.
            _ => {
                escape('\\', json);
                escape(c, json);
            }
        }
        self.go(State::Text { key })
    }

    fn in_word(&mut self, symbol: &Symbol, json: &mut String) -> Fed {
        let spaces_end = self.dialect == Dialect::Python;
        let ends =
            matches!(symbol.char(), None | Some(',' | '}' | ']' | ')')) || spaces_end && symbol.is_space();
        if !ends {
            symbol.write(&mut self.word);
            return if self.word.len() > 1 << 16 { Fed::Bad } else { Fed::More };
        }
        let word = std::mem::take(&mut self.word);
        match (word_to_json(word.trim()), self.dialect) {
            (Some(value), _) => json.push_str(&value),
            (None, Dialect::Gemma { .. }) => json.push_str(&quote(word.trim())),
            (None, Dialect::Python) => return Fed::Bad,
        }
        if self.end() == Fed::Done { Fed::Before } else { self.feed(symbol, json) }
    }

    /// A key without quotation marks, or in Python a number.
    fn bare_key(&mut self, symbol: &Symbol, json: &mut String) -> Fed {
        match symbol.char() {
            Some(':') => {
                let word = std::mem::take(&mut self.word);
                let word = word.trim();
                if self.dialect == Dialect::Python && word_to_json(word).is_none() {
                    return Fed::Bad;
                }
                json.push_str(&quote(word));
                json.push_str(": ");
                self.go(State::Value)
            }
            Some(c) if !"{}[](),".contains(c) && self.word.len() < 1 << 10 => {
                self.word.push(c);
                Fed::More
            }
            _ => Fed::Bad,
        }
    }
}

/// A name or a number of either language.
fn word_to_json(word: &str) -> Option<String> {
    match word {
        "True" | "true" => return Some("true".to_owned()),
        "False" | "false" => return Some("false".to_owned()),
        "None" | "null" => return Some("null".to_owned()),
        _ => {}
    }
    let plain = word.trim_start_matches('+').replace('_', "");
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
    let digits = if digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
    let digits = if digits.ends_with('.') { format!("{digits}0") } else { digits };
    let number = format!("{sign}{digits}");
    let mut scanner = Scanner::new();
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| scanner.feed(c) == Fed::More)
        && scanner.feed(' ') == Fed::Before;
    is_number.then_some(number)
}

/// A whole literal of Python as JSON; `None` if it is none.
pub(crate) fn to_json(text: &str) -> Option<String> {
    let (mut literal, mut json) = (Literal::new(Dialect::Python), String::new());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match literal.feed(&Symbol::Char(c), &mut json) {
            Fed::More => {}
            Fed::Done => return rest.all(char::is_whitespace).then_some(json),
            Fed::Before => return (c.is_whitespace() && rest.all(char::is_whitespace)).then_some(json),
            Fed::Bad => return None,
        }
    }
    (literal.feed(&Symbol::Char(' '), &mut json) == Fed::Before).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_python_become_json() {
        let cases = [
            ("'it\\'s'", r#""it's""#),
            (r#""a\n\x41\u00e9\q""#, "\"a\\nAé\\\\q\""),
            ("[1, -2.5, +3, .5, 1_000, 4.]", "[1, -2.5, 3, 0.5, 1000, 4.0]"),
            ("{'a': (True, None,), 'b': {}, 3: []}", r#"{"a": [true, null], "b": {}, "3": []}"#),
            ("  False ", "false"),
        ];
        for (literal, json) in cases {
            assert_eq!(to_json(literal).as_deref(), Some(json), "{literal}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok());
        }
    }

    #[test]
    fn code_is_no_literal() {
        for code in [
            "x",
            "[x for x in y]",
            "f(1)",
            "{1, 2}",
            "'open",
            "[1",
            "1 + 2",
            "{'a' 1}",
            "[1}",
            "",
            "0x1F",
            "-",
        ] {
            assert_eq!(to_json(code), None, "{code}");
        }
    }
}
