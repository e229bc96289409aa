//! Vocabularies that are known by their tokens. A GGUF file that names no pre-tokenizer is read as the family of its
//! vocabulary is; any other one is refused, since a wrong guess cuts text in other places than the model has learnt.

use std::path::Path;

use super::gguf::{GgufTokenizer, TokenType};
use crate::ModelError;

/// A family's vocabulary: tokens that stand where no other family has them, and how many merges it has.
struct Known {
    family: &'static str,
    pre: &'static str,
    tokens: &'static [(usize, &'static str)],
    merges: usize,
}

const KNOWN: [Known; 4] = [
    Known {
        family: "GPT-2",
        pre: "gpt-2",
        tokens: &[(0, "!"), (50_255, "Ġgazed"), (50_256, "<|endoftext|>")],
        merges: 50_000,
    },
    Known {
        family: "SmolLM",
        pre: "smollm",
        tokens: &[(0, "<|endoftext|>"), (1, "<|im_start|>"), (2, "<|im_end|>"), (49_151, "ectable")],
        merges: 48_900,
    },
    Known {
        family: "Llama 3",
        pre: "llama-bpe",
        tokens: &[(0, "!"), (128_000, "<|begin_of_text|>"), (128_001, "<|end_of_text|>")],
        merges: 280_147,
    },
    Known {
        family: "Qwen2",
        pre: "qwen2",
        tokens: &[(0, "!"), (151_643, "<|endoftext|>"), (151_644, "<|im_start|>")],
        merges: 151_387,
    },
];

impl Known {
    fn fits(&self, gguf: &GgufTokenizer) -> bool {
        let has = |(id, text): &(usize, &str)| gguf.tokens.get(*id).is_some_and(|token| token == text);
        gguf.merges.len() == self.merges && self.tokens.iter().all(has)
    }
}

impl GgufTokenizer {
    /// Fills in what the file leaves out of a byte-level tokenizer, and notes it in `guessed`. Files that leave out what
    /// their vocabulary does not settle are refused.
    pub fn complete(&mut self, path: &Path) -> Result<(), ModelError> {
        if self.model != "gpt2" {
            return Ok(());
        }
        let malformed = |detail: String| ModelError::Malformed { path: path.to_owned(), detail };
        if self.merges.is_empty() && self.has_long_tokens() {
            let detail = "it has no tokenizer.ggml.merges, without which most of its tokens are never found";
            return Err(malformed(detail.to_owned()));
        }
        if self.pre.is_some() {
            return Ok(());
        }
        let known = KNOWN.iter().find(|known| known.fits(self)).ok_or_else(|| {
            let families: Vec<&str> = KNOWN.iter().map(|known| known.family).collect();
            malformed(format!(
                "it has no tokenizer.ggml.pre, and its vocabulary is none of {}; convert the model anew, or add the key",
                families.join(", ")
            ))
        })?;
        self.pre = Some(known.pre.to_owned());
        self.guessed = Some(format!(
            "the model's file has no tokenizer.ggml.pre; its vocabulary is {}'s, so it is read with {:?}",
            known.family, known.pre
        ));
        Ok(())
    }

    /// Whether text finds some tokens by merges only: those of more than one character of the byte alphabet.
    fn has_long_tokens(&self) -> bool {
        let is_long = |(id, token): (usize, &String)| {
            self.token_type(id) == TokenType::Normal && token.chars().nth(1).is_some()
        };
        self.tokens.iter().enumerate().any(is_long)
    }
}
