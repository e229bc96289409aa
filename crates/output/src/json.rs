//! JSON, a character at a time: where a value ends, and text as strings.

/// Deeper values are refused.
const MOST_DEPTH: usize = 128;

/// The place of a character in the value that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The value goes on.
    More,
    /// The value ends with this character.
    Done,
    /// The value, a number, ended before this character.
    Before,
    /// No value goes on like this.
    Bad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    Key,
    Colon,
    /// After a value inside an array or object.
    Next,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Hex {
        key: bool,
        left: u8,
    },
    Word {
        rest: &'static str,
    },
    /// A sign, or a point or an exponent: digits must follow.
    Sign,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// Reads one value. Raw control characters inside of strings pass, because models write them; [`escaped`] mends them.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    stack: Vec<char>,
    state: State,
}

impl Scanner {
    pub fn new() -> Self {
        Self { stack: Vec::new(), state: State::Value }
    }

    pub fn in_text(&self) -> bool {
        matches!(self.state, State::Text { .. })
    }

    pub fn feed(&mut self, c: char) -> Fed {
        let space = matches!(c, ' ' | '\t' | '\n' | '\r');
        match self.state {
            State::Value | State::ValueOrEnd | State::KeyOrEnd | State::Key | State::Colon | State::Next
                if space =>
            {
                Fed::More
            }
            State::ValueOrEnd | State::Next if c == ']' => self.close('['),
            State::KeyOrEnd | State::Next if c == '}' => self.close('{'),
            State::Value | State::ValueOrEnd => self.begin(c),
            State::KeyOrEnd | State::Key if c == '"' => self.go(State::Text { key: true }),
            State::Colon if c == ':' => self.go(State::Value),
            State::Next if c == ',' => {
                let in_object = self.stack.last() == Some(&'{');
                self.go(if in_object { State::Key } else { State::Value })
            }
            State::Text { key } => match c {
                '"' if key => self.go(State::Colon),
                '"' => self.end(),
                '\\' => self.go(State::Escape { key }),
                _ => Fed::More,
            },
            State::Escape { key } => match c {
                '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => self.go(State::Text { key }),
                'u' => self.go(State::Hex { key, left: 4 }),
                _ => Fed::Bad,
            },
            State::Hex { key, left } if c.is_ascii_hexdigit() => {
                self.go(if left > 1 { State::Hex { key, left: left - 1 } } else { State::Text { key } })
            }
            State::Word { rest } => match rest.strip_prefix(c) {
                Some("") => self.end(),
                Some(rest) => self.go(State::Word { rest }),
                None => Fed::Bad,
            },
            State::KeyOrEnd | State::Key | State::Colon | State::Next | State::Hex { .. } => Fed::Bad,
            _ => self.number(c),
        }
    }

    fn go(&mut self, state: State) -> Fed {
        self.state = state;
        Fed::More
    }

    fn begin(&mut self, c: char) -> Fed {
        let state = match c {
            '{' | '[' if self.stack.len() == MOST_DEPTH => return Fed::Bad,
            '{' => State::KeyOrEnd,
            '[' => State::ValueOrEnd,
            '"' => State::Text { key: false },
            't' => State::Word { rest: "rue" },
            'f' => State::Word { rest: "alse" },
            'n' => State::Word { rest: "ull" },
            '-' => State::Sign,
            '0' => State::Zero,
            '1'..='9' => State::Digits,
            _ => return Fed::Bad,
        };
        if matches!(c, '{' | '[') {
            self.stack.push(c);
        }
        self.go(state)
    }

    fn close(&mut self, opened: char) -> Fed {
        if self.stack.pop() == Some(opened) { self.end() } else { Fed::Bad }
    }

    /// A value inside of another has ended, or the whole.
    fn end(&mut self) -> Fed {
        self.state = State::Next;
        if self.stack.is_empty() { Fed::Done } else { Fed::More }
    }

    fn number(&mut self, c: char) -> Fed {
        let digit = c.is_ascii_digit();
        let next = match (self.state, c) {
            (State::Sign, '0') => State::Zero,
            (State::Sign | State::Digits, _) if digit => State::Digits,
            (State::Zero | State::Digits, '.') => State::Point,
            (State::Point | State::Fraction, _) if digit => State::Fraction,
            (State::Zero | State::Digits | State::Fraction, 'e' | 'E') => State::Exponent,
            (State::Exponent, '+' | '-') => State::ExponentSign,
            (State::Exponent | State::ExponentSign | State::ExponentDigits, _) if digit => {
                State::ExponentDigits
            }
            (State::Zero | State::Digits | State::Fraction | State::ExponentDigits, _) => {
                return if self.end() == Fed::Done { Fed::Before } else { self.feed(c) };
            }
            _ => return Fed::Bad,
        };
        self.go(next)
    }
}

/// Writes `c` as it stands inside of a JSON string.
pub(crate) fn escape(c: char, text: &mut String) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        _ => escape_control(c, text),
    }
}

/// Writes `c`, and a control character as JSON wants it inside of a string.
pub(crate) fn escape_control(c: char, text: &mut String) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if c < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => text.push(c),
    }
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    text.chars().for_each(|c| escape(c, &mut quoted));
    quoted.push('"');
    quoted
}

/// Reads the inside of a JSON string, quotes excluded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unescape {
    escaped: bool,
    hex: Option<(u32, u8)>,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

impl Unescape {
    /// `Ok(false)`: the string ends with this quotation mark; `Err`: no string goes on like this.
    pub fn feed(&mut self, c: char, text: &mut String) -> Result<bool, ()> {
        if let Some((value, left)) = self.hex {
            let value = value * 16 + c.to_digit(16).ok_or(())?;
            self.hex = (left > 1).then_some((value, left - 1));
            if left == 1 {
                self.unit(value, text);
            }
            return Ok(true);
        }
        if std::mem::take(&mut self.escaped) {
            if c == 'u' {
                self.hex = Some((0, 4));
                return Ok(true);
            }
            self.lone(text);
            text.push(match c {
                '"' | '\\' | '/' => c,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                _ => return Err(()),
            });
            return Ok(true);
        }
        if c == '\\' {
            self.escaped = true;
            return Ok(true);
        }
        self.lone(text);
        if c == '"' {
            return Ok(false);
        }
        text.push(c);
        Ok(true)
    }

    fn unit(&mut self, value: u32, text: &mut String) {
        match (self.high.take(), value) {
            (Some(high), 0xDC00..=0xDFFF) => {
                let code = 0x10000 + ((high - 0xD800) << 10) + (value - 0xDC00);
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (before, value) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                match value {
                    0xD800..=0xDBFF => self.high = Some(value),
                    _ => text.push(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
        }
    }

    /// Half of a surrogate pair that stays alone.
    fn lone(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many characters of `text` the value takes; `None`: it is no value.
    fn length(text: &str) -> Option<usize> {
        let mut scanner = Scanner::new();
        for (at, c) in text.char_indices() {
            match scanner.feed(c) {
                Fed::More => {}
                Fed::Done => return Some(at + c.len_utf8()),
                Fed::Before => return Some(at),
                Fed::Bad => return None,
            }
        }
        None
    }

    #[test]
    fn a_value_ends_where_the_library_says() {
        let values = [
            "{}",
            "[]",
            r#"{"a":[1,2.5e-3,{"b":null}],"c":"\"}\u00e9"}"#,
            "true",
            "[ -0.1 , \"x\" ]",
            "\"\\\\\"",
        ];
        for value in values {
            assert!(serde_json::from_str::<serde_json::Value>(value).is_ok());
            assert_eq!(length(&format!("{value} rest")), Some(value.len()), "{value}");
        }
        assert_eq!(length("12.5, 3"), Some(4));
    }

    #[test]
    fn broken_values_are_found() {
        for broken in
            ["{a", "[1,]", "{\"a\" 1", "[1}", "{\"a\":1]", "01", "-x", "1.e", "tru3", "\"\\x", "{,", "}"]
        {
            assert_ne!(length(&format!("{broken}    ")), Some(broken.len()), "{broken}");
        }
        assert_eq!(length(&"[".repeat(1000)), None);
    }

    #[test]
    fn strings_are_read_as_the_library_reads_them() {
        for text in ["plain", "q\"b\\n\n\t", "é🏳\u{1}", "\u{10FFFF}"] {
            let quoted = quote(text);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            let (mut unescape, mut read) = (Unescape::default(), String::new());
            let ended = quoted.chars().skip(1).map(|c| unescape.feed(c, &mut read)).last();
            assert_eq!((ended, read.as_str()), (Some(Ok(false)), text));
        }
        let (mut unescape, mut read) = (Unescape::default(), String::new());
        "\\ud83c\\udff3\\ud83cx".chars().for_each(|c| assert_eq!(unescape.feed(c, &mut read), Ok(true)));
        assert_eq!(read, "🏳\u{FFFD}x");
    }
}
