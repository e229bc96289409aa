//! A model's chat template, rendered as the reference renders it, within bounds: templates are untrusted.

mod charge;
mod conversation;
mod date;
mod forms;
mod functions;
mod methods;
mod named;
mod operations;
mod probe;
mod rewrite;
mod slice;
mod source;
mod texts;
mod values;
mod written;

use std::sync::{Arc, OnceLock};

use minijinja::machinery::{CompiledTemplate, TemplateConfig, eval, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Value};

use super::error::TextError;
use super::message::{ChatMessage, Ending};
pub(crate) use conversation::Conversation;
pub use date::ChatDate;
use forms::Forms;
pub(crate) use texts::{Owner, Part, Rewrite, Source};
pub(crate) use written::Tooling;

/// Bytes that a template may write whatever it is given.
const FREE_OUTPUT: usize = 64 << 10;
/// Bytes more for each message, call and tool.
const OUTPUT_PER_ITEM: usize = 2 << 10;
/// Bytes more for each byte of their texts: room for a template that repeats or escapes them.
const OUTPUT_PER_BYTE: usize = 6;
/// Fuel whatever it is given. One unit pays for one instruction, or for 64 bytes of data.
const FREE_FUEL: u64 = 50_000;
/// Fuel more for each message, call and tool.
const FUEL_PER_ITEM: u64 = 600;
/// Fuel more for each value inside of JSON: a template may look at each.
const FUEL_PER_VALUE: u64 = 60;
/// Bytes of the texts for one unit more: sixteen bytes of data may be made for each.
const BYTES_PER_FUEL: u64 = 4;
/// No rendering gets more fuel than this.
const MOST_FUEL: u64 = 1_000_000;
/// A longer source is refused when the model is loaded.
pub const MAX_TEMPLATE_BYTES: usize = 1 << 20;

/// What stays the same between the renderings of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RenderOptions {
    pub ending: Ending,
    pub date: ChatDate,
}

/// Texts of special tokens that templates may name; `None` leaves the name undefined, as the reference does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateTokens {
    pub bos: Option<String>,
    pub eos: Option<String>,
    pub unknown: Option<String>,
    pub padding: Option<String>,
}

/// A compiled-on-use template with the reference's environment. Immutable and shared between threads.
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    config: TemplateConfig,
    names: rewrite::Names,
    tokens: TemplateTokens,
    literals: Vec<String>,
    /// Texts of special tokens that look like words.
    special_words: Vec<String>,
    forms: OnceLock<Forms>,
}

impl ChatTemplate {
    /// Prepares a template; an error of syntax is found here. `specials` are the texts of the special tokens.
    pub fn new(source: &str, tokens: TemplateTokens, specials: &[&str]) -> Result<Self, TextError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            let detail = format!("its source has {} bytes, more than {MAX_TEMPLATE_BYTES}", source.len());
            return Err(TextError::Failed { detail });
        }
        let source = source::without_generation_tags(source);
        let mut literals = source::inspected_literals(&source);
        // Text that shares something with a special token must stay inside a message's marks.
        let shares = |literal: &str| specials.iter().any(|s| s.contains(literal) || literal.contains(s));
        literals.retain(|literal| !shares(literal));
        let config =
            TemplateConfig { syntax_config: syntax()?, default_auto_escape: Arc::new(|_| AutoEscape::None) };
        if let Some(detail) = source::too_long(&source, config.syntax_config.clone()) {
            return Err(TextError::Failed { detail });
        }
        let names =
            rewrite::names(&compile(&source, &config)?).map_err(|detail| TextError::Failed { detail })?;
        let mut environment = environment();
        named::register(&mut environment, &names);
        let special_words =
            specials.iter().filter(|special| is_word(special)).map(|&s| s.to_owned()).collect();
        let forms = OnceLock::new();
        Ok(Self { source, environment, config, names, tokens, literals, special_words, forms })
    }

    /// The source, with `generation` blocks turned into plain ones.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn tokens(&self) -> &TemplateTokens {
        &self.tokens
    }

    /// Whether the prompt may depend on the date: it must then be fixed for the whole conversation.
    pub fn uses_date(&self) -> bool {
        self.source.contains("strftime_now")
    }

    /// Strings in the source by which the template may cut or inspect a message's content.
    pub(crate) fn literals(&self) -> &[String] {
        &self.literals
    }

    /// Whether a text is a word that cannot be a special token, nor look like one: it is trusted as a role is.
    pub(crate) fn is_harmless_word(&self, text: &str) -> bool {
        is_word(text) && !self.special_words.iter().any(|special| text.contains(special.as_str()))
    }

    fn forms(&self) -> Forms {
        let date = ChatDate::from_unix_seconds(0);
        let options = RenderOptions { ending: Ending::Closed, date };
        let render = |forms: Forms, messages: &[ChatMessage]| {
            let chat = Conversation::new(messages, &[], None, Tooling::Values).ok()?;
            self.render_in(forms, &chat, options, &mut |_, text| text.to_owned()).ok()
        };
        *self.forms.get_or_init(|| probe::probe(&self.source, &render))
    }

    /// Every text that the template is given of a conversation.
    pub(crate) fn texts_of<'a>(&self, chat: &'a Conversation<'a>) -> Vec<(Source, &'a str)> {
        let mut texts = Vec::new();
        chat.values(self.forms(), &mut |source, text| {
            texts.push((source, text));
            String::new()
        });
        texts
    }

    /// Renders a conversation whose texts `rewrite` may change. Fuel and output are bounded by the conversation's size.
    pub(crate) fn render<'a>(
        &self,
        chat: &'a Conversation<'a>,
        options: RenderOptions,
        rewrite: &mut Rewrite<'a, '_>,
    ) -> Result<String, TextError> {
        self.render_in(self.forms(), chat, options, rewrite)
    }

    fn render_in<'a>(
        &self,
        forms: Forms,
        chat: &'a Conversation<'a>,
        options: RenderOptions,
        rewrite: &mut Rewrite<'a, '_>,
    ) -> Result<String, TextError> {
        let values = chat.values(forms, rewrite);
        let limit = FREE_OUTPUT + OUTPUT_PER_ITEM * values.items + OUTPUT_PER_BYTE * values.bytes;
        let fuel = FREE_FUEL
            + FUEL_PER_ITEM * values.items as u64
            + FUEL_PER_VALUE * values.values as u64
            + values.bytes as u64 / BYTES_PER_FUEL;
        let fuel = fuel.min(MOST_FUEL);
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let compiled = compile(&self.source, &self.config)?;
        let (instructions, blocks) = rewrite::bounded(&compiled, &self.names);
        // What most templates write; growing takes as much again.
        let mut text = String::with_capacity(values.bytes + 64 * values.items);
        let context = self.context(values.named, options);
        // Fuel pays for every byte, so that a text too long for its limit is still bounded.
        let mut output = make_string_output(&mut text);
        let rendered = eval(&environment, &instructions, context, &blocks, &mut output, AutoEscape::None);
        match rendered.map(drop) {
            Err(error) => Err(classify(&error, fuel)),
            Ok(()) if text.len() > limit => Err(TextError::OutputTooLong { limit }),
            Ok(()) => Ok(text),
        }
    }

    /// The template's variables. None of those named has a name of the others, but `documents`.
    fn context(&self, named: Vec<(String, Value)>, options: RenderOptions) -> Value {
        let TemplateTokens { bos, eos, unknown, padding } = &self.tokens;
        let tokens = [("bos_token", bos), ("eos_token", eos), ("unk_token", unknown), ("pad_token", padding)];
        let tokens =
            tokens.into_iter().filter_map(|(name, token)| Some((name, Value::from(token.as_deref()?))));
        let date = options.date;
        let own = [
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(options.ending == Ending::Answer)),
            ("strftime_now", Value::from_function(move |format: String| date.format(&format))),
        ];
        let own = own.into_iter().chain(tokens).map(|(name, value)| (name.to_owned(), value));
        Value::from_pairs(own.chain(named))
    }
}

fn is_word(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | ' '))
}

fn syntax() -> Result<SyntaxConfig, TextError> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    syntax.map_err(|error| TextError::Failed { detail: error.to_string() })
}

fn compile<'a>(source: &'a str, config: &TemplateConfig) -> Result<CompiledTemplate<'a>, TextError> {
    CompiledTemplate::new("chat_template", source, config).map_err(|error| classify(&error, FREE_FUEL))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(functions::write_as_python);
    operations::register(&mut environment);
    environment.add_filter("tojson", functions::tojson);
    environment.add_function("raise_exception", functions::raise_exception);
    environment
}

fn classify(error: &minijinja::Error, fuel: u64) -> TextError {
    if let Some(message) = functions::raised_message(error) {
        return TextError::Refused { message };
    }
    match error.kind() {
        ErrorKind::OutOfFuel => TextError::OutOfFuel { fuel },
        _ => TextError::Failed { detail: error.to_string() },
    }
}
