//! GBNF, the notation of llama.cpp, translated to Lark's.
//!
//! GBNF is about characters, Lark about terminals that are cut greedily. So what does not refer to itself becomes one
//! terminal, which is matched character by character; rules that are recursive stay rules, and their runs of parts that
//! are not recursive become terminals too.

mod lark;
mod read;

use crate::error::GrammarError;
use crate::source::Source;

/// What a rule stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    Literal(String),
    /// The inside of a class as a regular expression has it, without brackets.
    Class(String),
    /// A special token, by name or id.
    Token(String),
    Rule(usize),
    Sequence(Vec<Expr>),
    Choice(Vec<Expr>),
    /// At least, and at most where there is a bound.
    Repeat(Box<Expr>, u64, Option<u64>),
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub body: Expr,
}

/// The first statement defines a rule with `::=`.
pub fn is_gbnf(text: &str) -> bool {
    let statements =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut statements = statements.filter(|line| !line.starts_with("//"));
    statements.next().is_some_and(|line| {
        let name = line.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        name.len() < line.len()
            && (name.trim_start().starts_with("::=") || name.trim_start().is_empty())
            && text.contains("::=")
    })
}

/// # Errors
/// A grammar that is not GBNF, or larger than is taken.
pub fn to_lark(source: &Source, text: &str) -> Result<String, GrammarError> {
    let rules = read::read(source, text)?;
    let root = rules.iter().position(|rule| rule.name == "root");
    let root = root.ok_or_else(|| GrammarError::invalid(source.kind(), "it has no rule named root"))?;
    Ok(lark::write(&rules, root))
}
