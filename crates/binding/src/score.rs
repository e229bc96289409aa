//! What a model thinks of a given text: for evaluation.

use std::sync::{Arc, Mutex, PoisonError};

use attentionstore_engine::score::{Score, Scorer, Truncation};
use attentionstore_engine::{EngineError, View};
use napi::bindgen_prelude::{AsyncTask, Float32Array, Uint32Array};
use napi::{Env, Result, Task};
use napi_derive::napi;

use crate::error::thrown;
use crate::open::BindingOpenOptions;
use crate::sequence::BindingView;

/// −ln p of each token but the first, and the likeliest token in its place.
#[napi(object, object_from_js = false)]
pub struct BindingScores {
    pub nll: Float32Array,
    pub best: Uint32Array,
}

#[napi]
pub struct BindingScorer {
    inner: Arc<Mutex<Scorer>>,
}

#[napi]
impl BindingScorer {
    /// `truncation`: `recompute`, `decoupled` or `coupled`.
    #[napi(catch_unwind)]
    pub fn score(
        &self,
        tokens: Uint32Array,
        view: BindingView,
        truncation: String,
    ) -> Result<AsyncTask<ScoreTask>> {
        let truncation = match truncation.as_str() {
            "recompute" => Truncation::Recompute,
            "decoupled" => Truncation::Decoupled,
            "coupled" => Truncation::Coupled,
            other => {
                let detail = format!("truncation {other} is none of recompute, decoupled, coupled");
                return Err(thrown(EngineError::Protocol { detail }));
            }
        };
        let view = View::scored(view.parameters()).map_err(thrown)?;
        Ok(AsyncTask::new(ScoreTask {
            scorer: self.inner.clone(),
            tokens: tokens.to_vec(),
            view,
            truncation,
        }))
    }
}

pub struct ScoreTask {
    scorer: Arc<Mutex<Scorer>>,
    tokens: Vec<u32>,
    view: View,
    truncation: Truncation,
}

impl Task for ScoreTask {
    type Output = Vec<Score>;
    type JsValue = BindingScores;

    fn compute(&mut self) -> Result<Vec<Score>> {
        let mut scorer = self.scorer.lock().unwrap_or_else(PoisonError::into_inner);
        scorer.score(&self.tokens, self.view, self.truncation).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, scores: Vec<Score>) -> Result<BindingScores> {
        let nll: Vec<f32> = scores.iter().map(|score| score.nll).collect();
        let best: Vec<u32> = scores.iter().map(|score| score.best).collect();
        Ok(BindingScores { nll: nll.into(), best: best.into() })
    }
}

pub struct OpenScorer {
    options: Option<BindingOpenOptions>,
}

impl Task for OpenScorer {
    type Output = Scorer;
    type JsValue = BindingScorer;

    fn compute(&mut self) -> Result<Scorer> {
        let options = self.options.take().ok_or_else(|| napi::Error::from_reason("opened twice"))?;
        Scorer::open(&options.into()).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, scorer: Scorer) -> Result<BindingScorer> {
        Ok(BindingScorer { inner: Arc::new(Mutex::new(scorer)) })
    }
}

/// Loads the model alone. Of the sizes only `hbm_bytes` counts: it holds the longest window.
#[napi(catch_unwind)]
pub fn open_scorer(options: BindingOpenOptions) -> AsyncTask<OpenScorer> {
    AsyncTask::new(OpenScorer { options: Some(options) })
}
