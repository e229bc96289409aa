//! Templates that came with requests: prepared once, and the last few kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::TextError;
use super::template::{ChatTemplate, TemplateTokens};

/// Templates that are kept; the one that was used longest ago goes first.
const MOST_KEPT: usize = 16;
/// A longer source is refused: those that are kept take a megabyte at most.
const MOST_BYTES: usize = 64 << 10;

struct Kept {
    /// As the request has it.
    source: String,
    template: Arc<ChatTemplate>,
}

pub struct RequestTemplates {
    tokens: TemplateTokens,
    /// Texts of the special tokens.
    specials: Vec<String>,
    /// The last used one last.
    kept: Mutex<VecDeque<Kept>>,
}

impl RequestTemplates {
    pub(crate) fn new(tokens: TemplateTokens, specials: &[&str]) -> Self {
        let specials = specials.iter().map(|&special| special.to_owned()).collect();
        Self { tokens, specials, kept: Mutex::default() }
    }

    /// The template with this source, within the bounds of a model's own. The error is that of its syntax or length.
    pub(crate) fn get(&self, source: &str) -> Result<Arc<ChatTemplate>, TextError> {
        if source.len() > MOST_BYTES {
            let detail = format!("its source has {} bytes; the limit is {MOST_BYTES}", source.len());
            return Err(TextError::Failed { detail });
        }
        if let Some(template) = self.take(source) {
            return Ok(template);
        }
        // Outside of the lock: others need not wait for it.
        let specials: Vec<&str> = self.specials.iter().map(String::as_str).collect();
        let template = Arc::new(ChatTemplate::new(source, self.tokens.clone(), &specials)?);
        self.keep(source, &template);
        Ok(template)
    }

    fn take(&self, source: &str) -> Option<Arc<ChatTemplate>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|kept| kept.source == source)?;
        let found = kept.remove(index)?;
        let template = found.template.clone();
        kept.push_back(found);
        Some(template)
    }

    fn keep(&self, source: &str, template: &Arc<ChatTemplate>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.source != source);
        kept.push_back(Kept { source: source.to_owned(), template: template.clone() });
        while kept.len() > MOST_KEPT {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_prepared_once_and_the_last_used_ones_are_kept() {
        let templates = RequestTemplates::new(TemplateTokens::default(), &[]);
        let first = templates.get("0").unwrap();
        for name in 1..MOST_KEPT {
            templates.get(&name.to_string()).unwrap();
        }
        assert!(Arc::ptr_eq(&first, &templates.get("0").unwrap()));
        templates.get("one more").unwrap();
        assert!(Arc::ptr_eq(&first, &templates.get("0").unwrap()), "it was used last");
        for name in 0..MOST_KEPT {
            templates.get(&format!("new {name}")).unwrap();
        }
        assert!(!Arc::ptr_eq(&first, &templates.get("0").unwrap()));
        assert_eq!(templates.kept.lock().unwrap().len(), MOST_KEPT);
    }

    #[test]
    fn a_template_that_is_too_long_or_does_not_parse_is_refused_with_the_reason() {
        let templates = RequestTemplates::new(TemplateTokens::default(), &[]);
        let of = |source: &str| templates.get(source).err().expect("should be refused").to_string();
        assert!(of(&"x".repeat(MOST_BYTES + 1)).contains("the limit is 65536"));
        assert!(of("{% for %}").contains("the chat template failed"));
        assert!(templates.kept.lock().unwrap().is_empty());
    }
}
