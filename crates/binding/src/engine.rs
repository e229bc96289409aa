//! The engine as a class. After `close` every method answers `engine_closed`.

use std::sync::{Arc, Mutex, PoisonError};

use attentionstore_engine::event::GrowingTier;
use attentionstore_engine::{Engine, EngineError, EventSource};
use napi::bindgen_prelude::{AsyncTask, Uint8Array, Uint32Array};
use napi::{Env, Result, Task};
use napi_derive::napi;

use crate::constraint::BindingConstraint;
use crate::error::thrown;
use crate::info::BindingInfo;
use crate::sequence::BindingSequence;
use crate::stats::BindingStats;

#[napi]
pub struct BindingEngine {
    inner: Mutex<Option<Arc<Engine>>>,
    events: EventSource,
}

impl BindingEngine {
    pub fn new(engine: Engine) -> Self {
        Self { events: engine.events(), inner: Mutex::new(Some(Arc::new(engine))) }
    }

    /// The engine, unless it was closed.
    pub fn open(&self) -> Result<Arc<Engine>> {
        self.inner().clone().ok_or_else(|| thrown(EngineError::Closed))
    }

    // Behind a lock rather than `&mut self`: napi keeps a class borrowed while one of its tasks runs, and a wake-up
    // may come in meanwhile.
    fn inner(&self) -> std::sync::MutexGuard<'_, Option<Arc<Engine>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[napi]
impl BindingEngine {
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<BindingInfo> {
        Ok(self.open()?.info().into())
    }

    #[napi(catch_unwind)]
    pub fn add_sequence(
        &self,
        sequence: BindingSequence,
        constraint: Option<&BindingConstraint>,
    ) -> Result<()> {
        let (mut spec, stop) = sequence.into_spec()?;
        spec.constraint = constraint.map(BindingConstraint::source);
        self.open()?.add_sequence(spec, stop).map_err(thrown)
    }

    #[napi(catch_unwind)]
    pub fn drop_sequence(&self, sequence: u32) -> Result<()> {
        self.open()?.drop_sequence(sequence).map_err(thrown)
    }

    /// A packed plan, as `attentionstore_engine::wire` reads it.
    #[napi(catch_unwind)]
    pub fn submit(&self, words: &[u32]) -> Result<()> {
        self.open()?.submit(words).map_err(thrown)
    }

    /// Packed transfers.
    #[napi(catch_unwind)]
    pub fn transfer(&self, words: &[u32]) -> Result<()> {
        self.open()?.transfer(words).map_err(thrown)
    }

    /// Asks for the memory, or the room on disk, of the first `slots` of a tier; answered by events where there are not as many yet.
    #[napi(catch_unwind, ts_args_type = "tier: 'hbm' | 'dram' | 'ssd', slots: number")]
    pub fn grow(&self, tier: String, slots: u32) -> Result<()> {
        let tier = match tier.as_str() {
            "hbm" => GrowingTier::Hbm,
            "dram" => GrowingTier::Dram,
            _ => GrowingTier::Ssd,
        };
        self.open()?.grow(tier, slots).map_err(thrown)
    }

    /// Moves packed events into `into`; returns the length moved, or needed if that is more. Works after `close` too.
    #[napi(catch_unwind)]
    pub fn take_events(&self, mut into: Uint8Array) -> Result<u32> {
        // SAFETY: JavaScript gives up the event loop to this call: nobody else touches the array meanwhile.
        let into = unsafe { into.as_mut() };
        Ok(self.events.take(into) as u32)
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<BindingStats> {
        Ok(self.open()?.stats().into())
    }

    /// Waits for the work in flight and releases everything. May be called twice.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Close> {
        AsyncTask::new(Close { engine: self.inner().take() })
    }
}

pub struct Close {
    engine: Option<Arc<Engine>>,
}

impl Task for Close {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        if let Some(engine) = self.engine.take() {
            engine.close();
        }
        Ok(())
    }

    fn resolve(&mut self, _env: Env, (): ()) -> Result<()> {
        Ok(())
    }
}

/// A typed array that was filled on a worker thread.
pub fn words(tokens: Vec<u32>) -> Uint32Array {
    Uint32Array::new(tokens)
}
