//! Which tokens may come next.

/// Bits of one word.
const WORD: usize = u32::BITS as usize;

/// The tokens of a vocabulary that may be sampled: a bit a token, token 0 in the lowest bit of the first word. Bits
/// beyond the vocabulary are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMask {
    words: Vec<u32>,
    vocabulary: usize,
}

impl TokenMask {
    /// No token of `vocabulary` tokens.
    pub fn new(vocabulary: usize) -> Self {
        Self { words: vec![0; Self::words_of(vocabulary)], vocabulary }
    }

    /// Words of a mask over `vocabulary` tokens.
    pub fn words_of(vocabulary: usize) -> usize {
        vocabulary.div_ceil(WORD)
    }

    /// Allows no token any more.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Allows `token`. A token outside the vocabulary changes nothing.
    pub fn allow(&mut self, token: u32) {
        if (token as usize) < self.vocabulary {
            self.words[token as usize / WORD] |= 1 << (token as usize % WORD);
        }
    }

    pub fn allows(&self, token: u32) -> bool {
        let word = self.words.get(token as usize / WORD).copied().unwrap_or(0);
        word >> (token as usize % WORD) & 1 == 1
    }

    /// Tokens that the mask chooses from.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Has `fill` write the words. What it sets beyond the vocabulary is taken back.
    pub fn fill<T>(&mut self, fill: impl FnOnce(&mut [u32]) -> T) -> T {
        let filled = fill(&mut self.words);
        let inside = self.vocabulary % WORD;
        if inside > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << inside) - 1;
        }
        filled
    }

    /// Takes every logit whose token is not allowed to −∞.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (part, at) in logits.chunks_mut(WORD).zip(0..) {
            let word = self.words.get(at).copied().unwrap_or(0);
            if word == u32::MAX {
                continue;
            }
            for (bit, logit) in part.iter_mut().enumerate() {
                *logit = if word >> bit & 1 == 1 { *logit } else { f32::NEG_INFINITY };
            }
        }
    }
}
