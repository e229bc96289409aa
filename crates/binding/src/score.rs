//! What a model thinks of a given text: for evaluation.

use std::sync::{Arc, Mutex, PoisonError};

use attentionstore_engine::score::{Score, Scorer, Truncation, Way};
use attentionstore_engine::{EngineError, View};
use napi::bindgen_prelude::{AsyncTask, Float32Array, Uint32Array};
use napi::{Env, Result, Task};
use napi_derive::napi;

use crate::error::thrown;
use crate::open::BindingOpenOptions;
use crate::sequence::BindingView;

/// −ln p of each scored token, and the likeliest token in its place.
#[napi(object, object_from_js = false)]
pub struct BindingScores {
    pub nll: Float32Array,
    pub best: Uint32Array,
}

#[napi]
pub struct BindingScorer {
    inner: Arc<Mutex<Scorer>>,
}

/// `truncation`: `recompute`, `decoupled` or `coupled`.
#[napi(object, object_to_js = false)]
pub struct BindingWay {
    pub view: BindingView,
    #[napi(ts_type = "'recompute' | 'decoupled' | 'coupled'")]
    pub truncation: String,
}

#[napi]
impl BindingScorer {
    /// Scores of the tokens from `first` on, in each of `ways`.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<BindingScores>>")]
    pub fn score(
        &self,
        tokens: Uint32Array,
        first: u32,
        ways: Vec<BindingWay>,
    ) -> Result<AsyncTask<ScoreTask>> {
        let ways = ways.into_iter().map(way).collect::<Result<_>>()?;
        let scorer = self.inner.clone();
        Ok(AsyncTask::new(ScoreTask { scorer, tokens: tokens.to_vec(), first, ways }))
    }
}

fn way(BindingWay { view, truncation }: BindingWay) -> Result<Way> {
    let truncation = match truncation.as_str() {
        "recompute" => Truncation::Recompute,
        "decoupled" => Truncation::Decoupled,
        "coupled" => Truncation::Coupled,
        other => {
            let detail = format!("truncation {other} is none of recompute, decoupled, coupled");
            return Err(thrown(EngineError::Protocol { detail }));
        }
    };
    Ok(Way { view: View::scored(view.parameters()).map_err(thrown)?, truncation })
}

pub struct ScoreTask {
    scorer: Arc<Mutex<Scorer>>,
    tokens: Vec<u32>,
    first: u32,
    ways: Vec<Way>,
}

impl Task for ScoreTask {
    type Output = Vec<Vec<Score>>;
    type JsValue = Vec<BindingScores>;

    fn compute(&mut self) -> Result<Vec<Vec<Score>>> {
        let mut scorer = self.scorer.lock().unwrap_or_else(PoisonError::into_inner);
        scorer.score(&self.tokens, self.first, &self.ways).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, scored: Vec<Vec<Score>>) -> Result<Vec<BindingScores>> {
        let arrays = |scores: Vec<Score>| {
            let nll: Vec<f32> = scores.iter().map(|score| score.nll).collect();
            let best: Vec<u32> = scores.iter().map(|score| score.best).collect();
            BindingScores { nll: nll.into(), best: best.into() }
        };
        Ok(scored.into_iter().map(arrays).collect())
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

/// Loads the model alone. Of the sizes only `hbm_bytes` counts: it holds the longest window twice.
#[napi(catch_unwind, ts_return_type = "Promise<BindingScorer>")]
pub fn open_scorer(options: BindingOpenOptions) -> AsyncTask<OpenScorer> {
    AsyncTask::new(OpenScorer { options: Some(options) })
}
