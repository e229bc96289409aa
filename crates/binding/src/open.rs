//! Opening an engine: minutes of loading on a worker thread, progress on the event loop.

use std::path::PathBuf;
use std::sync::Arc;

use attentionstore_engine::{Engine, EngineOptions};
use attentionstore_model::ModelSource;
use attentionstore_model::loader::random::RandomSpec;
use napi::bindgen_prelude::{AsyncTask, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status, Task};
use napi_derive::napi;

use crate::engine::BindingEngine;
use crate::error::thrown;
use crate::random::RANDOM_SEED;

#[napi(object, object_to_js = false)]
pub struct BindingOpenOptions {
    /// A GGUF file or a Hugging Face directory; left out with `random_weights`.
    pub model_path: Option<String>,
    /// A shape's name, or the path of a directory with a `config.json`.
    pub random_weights: Option<String>,
    /// `cpu`, `cuda` or `cuda:n`.
    pub device: String,
    pub kernel_cache_dir: String,
    pub threads: u32,
    pub max_batch_tokens: u32,
    /// Byte counts are doubles: exact up to 8 PiB.
    pub hbm_bytes: f64,
    pub dram_bytes: f64,
    pub ssd_bytes: f64,
    pub ssd_dir: Option<String>,
    pub data_dir: Option<String>,
    /// Bytes a second.
    pub ssd_read_limit: Option<f64>,
    pub ssd_write_limit: Option<f64>,
    pub preload_layers: Option<u32>,
    /// Share of the loads that are compared with their checksum, 0 to 1.
    pub load_checks: Option<f64>,
    /// `bf16`, or `f32` in tests.
    #[napi(ts_type = "'bf16' | 'f32'")]
    pub kv_dtype: String,
    /// `avx512`, `avx2` or `portable` in tests; otherwise the best there is.
    pub instruction_set: Option<String>,
}

impl From<BindingOpenOptions> for EngineOptions {
    fn from(options: BindingOpenOptions) -> Self {
        Self {
            model: match options.random_weights {
                Some(shape) => ModelSource::Random(RandomSpec { shape, seed: RANDOM_SEED }),
                None => ModelSource::Files(PathBuf::from(options.model_path.unwrap_or_default())),
            },
            device: options.device,
            kernel_cache: PathBuf::from(options.kernel_cache_dir),
            threads: options.threads as usize,
            max_batch_tokens: options.max_batch_tokens as usize,
            hbm_bytes: options.hbm_bytes as u64,
            dram_bytes: options.dram_bytes as u64,
            ssd_bytes: options.ssd_bytes as u64,
            ssd_dir: options.ssd_dir.map(PathBuf::from),
            data_dir: options.data_dir.map(PathBuf::from),
            ssd_read_limit: options.ssd_read_limit.map(|rate| rate as u64),
            ssd_write_limit: options.ssd_write_limit.map(|rate| rate as u64),
            preload_layers: options.preload_layers.map(|layers| layers as usize),
            load_checks: options.load_checks,
            kv_dtype: options.kv_dtype,
            instruction_set: options.instruction_set,
        }
    }
}

type Wake = ThreadsafeFunction<(), (), (), Status, false>;
type Progress = ThreadsafeFunction<FnArgs<(f64, f64)>, (), FnArgs<(f64, f64)>, Status, false>;

pub struct Open {
    options: Option<BindingOpenOptions>,
    progress: Arc<Progress>,
    wake: Arc<Wake>,
}

impl Task for Open {
    type Output = Engine;
    type JsValue = BindingEngine;

    fn compute(&mut self) -> napi::Result<Engine> {
        let options = self.options.take().ok_or_else(|| napi::Error::from_reason("opened twice"))?;
        let (progress, wake) = (self.progress.clone(), self.wake.clone());
        Engine::open(
            options.into(),
            &move |done, total| {
                progress
                    .call(FnArgs::from((done as f64, total as f64)), ThreadsafeFunctionCallMode::NonBlocking);
            },
            Box::new(move || {
                wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }),
        )
        .map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, engine: Engine) -> napi::Result<BindingEngine> {
        Ok(BindingEngine::new(engine))
    }
}

/// Loads the model, makes the tiers, starts the engine thread.
#[napi(catch_unwind, ts_return_type = "Promise<BindingEngine>")]
pub fn open_engine(
    options: BindingOpenOptions,
    #[napi(ts_arg_type = "(done: number, total: number) => void")] on_progress: Function<
        '_,
        FnArgs<(f64, f64)>,
        (),
    >,
    #[napi(ts_arg_type = "() => void")] on_wake: Function<'_, (), ()>,
) -> napi::Result<AsyncTask<Open>> {
    let progress = on_progress.build_threadsafe_function().build()?;
    let wake = on_wake.build_threadsafe_function().build()?;
    Ok(AsyncTask::new(Open { options: Some(options), progress: Arc::new(progress), wake: Arc::new(wake) }))
}
