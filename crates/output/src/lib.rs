//! The form of a model's output.
//!
//! A [`Format`] is found from a model's chat template and tokens. A [`Parser`] reads one output with it, piece by piece,
//! into content, reasoning and tool calls; [`Format::grammar`] writes the grammar that holds an output to it;
//! [`generic`] is the prompt side for templates that know no tools. `docs/design/answers.md` says why it is as it is.

mod body;
mod families;
mod format;
pub mod generic;
mod grammar;
mod json;
mod opening;
mod parser;
mod part;
mod symbol;
mod tool;
mod watch;

pub use format::Format;
pub use parser::{End, Parser, Reading};
pub use part::Part;
pub use symbol::Piece;
pub use tool::{Choice, Tool};
