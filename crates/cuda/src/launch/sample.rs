//! Sampling: penalties and bans, the choice of a token, log probabilities.

use super::Kernels;
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Plain, Stream};

/// Answer of a row whose logits, as far as its mask allows them, are all −∞ or NaN.
pub const NOTHING: u32 = u32::MAX;
/// Answer of a row that has more candidates than are ranked on the card.
pub const TOO_WIDE: u32 = u32::MAX - 1;
/// [`SampleChoice::mask`] of a choice among all tokens.
pub const NO_MASK: u32 = u32::MAX;
/// Most alternatives of [`LogProbabilities`].
pub const MOST_TOP: usize = 64;

const ADJUSTING_THREADS: usize = 256;
const SAMPLING_THREADS: u32 = 1024;

/// A change of one logit, as `Adjustment` of `adjust_logits.cu`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Adjustment {
    /// Row of the logits, and token.
    pub row: u32,
    pub token: u32,
    /// 1: none. Divides a logit above 0, multiplies any other.
    pub repetition: f32,
    pub subtract: f32,
    pub bias: f32,
    /// 1: the logit becomes −∞.
    pub banned: u32,
    /// What was there; the kernel's.
    pub raw: f32,
    pub unused: u32,
}

/// How one token is chosen, as `Request` of `sample.cu`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct SampleChoice {
    /// Row of the logits.
    pub row: u32,
    /// 0: greedy.
    pub temperature: f32,
    /// 0: off.
    pub top_k: u32,
    /// 1: off.
    pub top_p: f32,
    /// 0: off.
    pub min_p: f32,
    /// Number of its mask among [`Masks`], or [`NO_MASK`].
    pub mask: u32,
    /// In [0, 1).
    pub random: f64,
}

/// What log probabilities are asked of a row, as `Request` of `log_probabilities.cu`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct LogProbabilityRequest {
    /// Row of the logits.
    pub row: u32,
    /// Place of the sampled token in [`LogProbabilities::tokens`].
    pub sample: u32,
    /// Alternatives, at most [`MOST_TOP`].
    pub top: u32,
    pub unused: u32,
}

/// As `Answer` of `log_probabilities.cu`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct LogProbabilityAnswer {
    /// Of the sampled token.
    pub own: f32,
    /// 0: there are more candidates than are ranked on the card.
    pub known: u32,
    /// 1 + the number of tokens that are likelier than the sampled one.
    pub rank: u32,
    pub unused: u32,
    pub token: [u32; MOST_TOP],
    pub probability: [f32; MOST_TOP],
}

/// Changes logits, or puts back what was there. No two adjustments name the same logit.
#[derive(Clone, Copy, Debug)]
pub struct AdjustLogits {
    /// [`Adjustment`]s on the device, with rows and tokens in range.
    pub adjustments: DevicePointer,
    pub count: usize,
    /// f32 `[rows][vocabulary]`.
    pub logits: DevicePointer,
    pub rows: usize,
    pub vocabulary: usize,
}

/// Which tokens choices may fall on: for each mask a bit a token of the vocabulary, in whole words.
#[derive(Clone, Copy, Debug)]
pub struct Masks {
    /// u32 `[count][vocabulary / 32, rounded up]`.
    pub words: DevicePointer,
    pub count: usize,
}

/// One token for each request: an id, [`NOTHING`] or [`TOO_WIDE`].
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// [`SampleChoice`]s on the device, with rows and masks in range.
    pub requests: DevicePointer,
    pub count: usize,
    /// f32 `[rows][vocabulary]`.
    pub logits: DevicePointer,
    pub rows: usize,
    pub vocabulary: usize,
    pub masks: Masks,
    /// u32 `[count]`.
    pub tokens: DevicePointer,
}

/// Natural log probabilities of raw logits.
#[derive(Clone, Copy, Debug)]
pub struct LogProbabilities {
    /// [`LogProbabilityRequest`]s on the device, in range.
    pub requests: DevicePointer,
    pub count: usize,
    /// f32 `[rows][vocabulary]`.
    pub logits: DevicePointer,
    pub rows: usize,
    pub vocabulary: usize,
    /// u32, as [`Sample::tokens`].
    pub tokens: DevicePointer,
    /// [`LogProbabilityAnswer`]s `[count]`.
    pub answers: DevicePointer,
}

// SAFETY: `repr(C)` structures of four- and eight-byte numbers whose parts leave no gap.
unsafe impl Plain for Adjustment {}
// SAFETY: as above.
unsafe impl Plain for SampleChoice {}
// SAFETY: as above.
unsafe impl Plain for LogProbabilityRequest {}
// SAFETY: as above.
unsafe impl Plain for LogProbabilityAnswer {}

fn logits(pointer: DevicePointer, rows: usize, vocabulary: usize) -> Result<u64, CudaError> {
    if vocabulary == 0 {
        return Err(CudaError::invalid("sampling", "an empty vocabulary"));
    }
    pointer.holds("logits", rows * vocabulary * 4)
}

impl Kernels {
    /// # Errors
    /// An empty vocabulary, a buffer that is too small, or a driver that refuses.
    pub fn adjust_logits(&self, stream: &Stream, launch: &AdjustLogits) -> Result<(), CudaError> {
        let (arguments, grid) = adjusting(launch)?;
        // SAFETY: the arguments are those of adjust_logits.cu, and the sizes are checked.
        unsafe { self.adjust_logits.launch(stream, grid, &arguments) }
    }

    /// Puts back what [`Kernels::adjust_logits`] changed.
    ///
    /// # Errors
    /// As [`Kernels::adjust_logits`].
    pub fn restore_logits(&self, stream: &Stream, launch: &AdjustLogits) -> Result<(), CudaError> {
        let (arguments, grid) = adjusting(launch)?;
        // SAFETY: the arguments are those of adjust_logits.cu, and the sizes are checked.
        unsafe { self.restore_logits.launch(stream, grid, &arguments) }
    }

    /// # Errors
    /// An empty vocabulary, a buffer that is too small, or a driver that refuses.
    pub fn sample(&self, stream: &Stream, launch: &Sample) -> Result<(), CudaError> {
        let Sample { count, rows, vocabulary, .. } = *launch;
        let requests = launch.requests.holds("sampling requests", count * size_of::<SampleChoice>())?;
        let arguments = Arguments::new()
            .address(logits(launch.logits, rows, vocabulary)?)
            .address(requests)
            .address(launch.masks.words.holds("masks", launch.masks.count * vocabulary.div_ceil(32) * 4)?)
            .address(launch.tokens.holds("sampled tokens", count * 4)?)
            .u32(vocabulary as u32);
        let grid = Grid { ctas: (count, 1, 1), threads: SAMPLING_THREADS };
        // SAFETY: the arguments are those of sample.cu, and the sizes are checked above.
        unsafe { self.sample.launch(stream, grid, &arguments) }
    }

    /// # Errors
    /// An empty vocabulary, a buffer that is too small, or a driver that refuses.
    pub fn log_probabilities(&self, stream: &Stream, launch: &LogProbabilities) -> Result<(), CudaError> {
        let LogProbabilities { count, rows, vocabulary, .. } = *launch;
        let requests = launch.requests.holds("requests", count * size_of::<LogProbabilityRequest>())?;
        let answers = launch.answers.holds("answers", count * size_of::<LogProbabilityAnswer>())?;
        let arguments = Arguments::new()
            .address(logits(launch.logits, rows, vocabulary)?)
            .address(requests)
            .address(launch.tokens.address())
            .address(answers)
            .u32(vocabulary as u32);
        let grid = Grid { ctas: (count, 1, 1), threads: SAMPLING_THREADS };
        // SAFETY: the arguments are those of log_probabilities.cu, and the sizes are checked above.
        unsafe { self.log_probabilities.launch(stream, grid, &arguments) }
    }
}

fn adjusting(launch: &AdjustLogits) -> Result<(Arguments, Grid), CudaError> {
    let AdjustLogits { count, rows, vocabulary, .. } = *launch;
    let arguments = Arguments::new()
        .address(launch.adjustments.holds("adjustments", count * size_of::<Adjustment>())?)
        .u32(count as u32)
        .address(logits(launch.logits, rows, vocabulary)?)
        .u32(vocabulary as u32);
    let ctas = (count.div_ceil(ADJUSTING_THREADS), 1, 1);
    Ok((arguments, Grid { ctas, threads: ADJUSTING_THREADS as u32 }))
}
