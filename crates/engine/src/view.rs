//! Which tokens a token sees: a pure function of its index, so that a resent history, a fork and a restart agree
//! (paper §3.4, decoupled positions). `docs/design/truncation.md` says why, `ts/engine/view.ts` is the same formula.

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_kv::key::ViewParameters;

use crate::error::EngineError;

/// Window W, kept head S and step D, in tokens. Token `i` has epoch 0 before W and `1 + (i − W) / D` from there on;
/// it sees `[0, S)` and `[S + epoch·D, i]`, which are never more than W tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    window: u32,
    head: u32,
    step: u32,
}

impl View {
    /// # Errors
    /// Parameters that are not whole blocks, no head, or a step that would leave the window empty or overfull.
    pub fn new(parameters: ViewParameters) -> Result<Self, EngineError> {
        let view = Self::scored(parameters)?;
        if view.head == 0 { Err(no_view(parameters)) } else { Ok(view) }
    }

    /// As [`View::new`], but the head may be empty: what that costs is part of the evaluation.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn scored(parameters: ViewParameters) -> Result<Self, EngineError> {
        let [window, head, step] = parameters;
        let whole = parameters.iter().all(|tokens| tokens % BLOCK == 0);
        if whole && step > 0 && head < window && step <= window - head {
            return Ok(Self { window, head, step });
        }
        Err(no_view(parameters))
    }

    pub fn parameters(&self) -> ViewParameters {
        [self.window, self.head, self.step]
    }

    /// Tokens between the head and the rest of what token `index` sees.
    pub fn left_out(&self, index: u32) -> u32 {
        if index < self.window {
            0
        } else {
            (1 + (index - self.window) / self.step).saturating_mul(self.step)
        }
    }

    /// Blocks that token `index` and its successors of the same epoch see, up to block `end`.
    pub fn blocks(&self, index: u32, end: usize) -> impl Iterator<Item = usize> + use<> {
        self.blocks_behind(self.left_out(index), end)
    }

    /// Blocks below `end` without the `left_out` tokens behind the head.
    pub(crate) fn blocks_behind(&self, left_out: u32, end: usize) -> impl Iterator<Item = usize> + use<> {
        let head = (self.head / BLOCK) as usize;
        let rest = head + (left_out / BLOCK) as usize;
        (0..head.min(end)).chain(rest..end)
    }

    /// The first token after `index` that sees less of what came before.
    pub(crate) fn next_edge(&self, index: u32) -> u32 {
        self.window.saturating_add(self.left_out(index))
    }

    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    pub(crate) fn is_head(&self, block: usize) -> bool {
        block < (self.head / BLOCK) as usize
    }

    pub(crate) fn window_blocks(&self) -> usize {
        (self.window / BLOCK) as usize
    }

    /// A slot below [`View::window_blocks`] for `block`; no two blocks of one view share one.
    pub(crate) fn ring_slot(&self, block: usize) -> u32 {
        let head = (self.head / BLOCK) as usize;
        let ring = self.window_blocks() - head;
        if block < head { block as u32 } else { (head + (block - head) % ring) as u32 }
    }
}

fn no_view([window, head, step]: ViewParameters) -> EngineError {
    let detail = format!("no view: window {window}, head {head}, step {step}");
    EngineError::Protocol { detail }
}

const BLOCK: u32 = BLOCK_TOKENS as u32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn views() -> impl Strategy<Value = View> {
        (2u32..40, any::<u32>(), any::<u32>()).prop_map(|(window, head, step)| {
            let head = 1 + head % (window - 1);
            let step = 1 + step % (window - head);
            View::new([window * BLOCK, head * BLOCK, step * BLOCK]).unwrap()
        })
    }

    #[test]
    fn parameters_that_are_no_view_are_refused() {
        let wrong =
            [[256, 0, 64], [256, 64, 0], [256, 256, 64], [256, 64, 256], [250, 64, 64], [256, 64, 65]];
        for parameters in wrong {
            assert!(View::new(parameters).is_err(), "{parameters:?}");
        }
        assert!(View::new([256, 64, 192]).is_ok());
        assert!(View::scored([256, 0, 256]).is_ok());
    }

    proptest! {
        /// A view holds the head and the token itself, and never more than the window.
        #[test]
        fn a_view_holds_head_and_token_and_at_most_the_window(view in views(), index in 0u32..20_000) {
            let left_out = view.left_out(index);
            prop_assert_eq!(left_out == 0, index < view.window);
            prop_assert_eq!(left_out % view.step, 0);
            prop_assert!(left_out == 0 || view.head + left_out <= index);
            prop_assert!(index + 1 - left_out <= view.window);
        }

        /// The blocks of a row are those of the formula, and its positions count them without a gap.
        #[test]
        fn blocks_are_those_that_the_formula_names(view in views(), index in 0u32..20_000) {
            let end = index as usize / BLOCK_TOKENS + 1;
            let blocks: Vec<usize> = view.blocks(index, end).collect();
            let seen = |block: usize| {
                let from = block as u32 * BLOCK;
                from < view.head || from >= view.head + view.left_out(index)
            };
            prop_assert_eq!(&blocks, &(0..end).filter(|block| seen(*block)).collect::<Vec<_>>());
            let position = (index - view.left_out(index)) as usize;
            prop_assert_eq!(blocks[position / BLOCK_TOKENS], index as usize / BLOCK_TOKENS);
            let mut slots: Vec<u32> = blocks.iter().map(|&block| view.ring_slot(block)).collect();
            slots.sort_unstable();
            slots.dedup();
            prop_assert_eq!(slots.len(), blocks.len());
            prop_assert!(slots.iter().all(|&slot| (slot as usize) < view.window_blocks()));
        }
    }
}
