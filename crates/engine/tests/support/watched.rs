//! What stands between an engine and its backend, to see and to disturb what passes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use attentionstore_engine::score::turn_keys;
use attentionstore_kv::KvLayout;
use attentionstore_kv::arena::HostArena;
use attentionstore_model::ModelError;
use attentionstore_model::backend::{
    Backend, BatchSequence, Completion, Event, LogitsWanted, PinnedMemory, SliceCopy, SlotMemory, Stream,
};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::sampling::{SampleOutcome, SampleRequest};

/// A backend that notes the layers of the loads it is given, refuses or disturbs loads while told to, and keeps logits.
pub struct Watched {
    pub inner: Box<dyn Backend>,
    pub watch: Arc<Watch>,
    /// Of the running step.
    pub rows: usize,
}

#[derive(Default)]
pub struct Watch {
    pub refuse_loads: AtomicBool,
    /// Loads of this layer are refused.
    pub refuse_layer: Mutex<Option<u32>>,
    /// Calls that load into this slot, among others perhaps, are refused whole.
    pub refuse_load_into: Mutex<Option<u32>>,
    /// Saves of this layer are refused.
    pub refuse_save_layer: Mutex<Option<u32>>,
    pub refuse_row_copies: AtomicBool,
    /// Work on the load stream is told to have failed.
    pub fail_loads: AtomicBool,
    /// The next step panics when it begins.
    pub panic: AtomicBool,
    /// The next copy of rows waits until the other end is dropped.
    pub gate: Mutex<Option<Receiver<()>>>,
    /// The next save waits on its stream until the other end is dropped.
    pub slow_save: Mutex<Option<Receiver<()>>>,
    /// Told when a step's second layer was enqueued; from then on the step is running until a load was enqueued.
    pub running: Mutex<Option<Sender<()>>>,
    /// Whether a step is held up like that.
    pub held: AtomicBool,
    /// In the order in which it was enqueued.
    pub order: Mutex<Vec<Seen>>,
    /// The dram tier.
    pub memory: Mutex<Option<Arc<HostArena>>>,
    /// Where there is a list, steps compute the logits of all their rows and add them to it. They sample nothing.
    pub logits: Mutex<Option<Vec<Vec<f32>>>>,
    /// Rows that steps have computed.
    pub computed: AtomicUsize,
    /// The keys of what is loaded into this slot are turned by one position, also in dram.
    pub turned: Mutex<Option<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Load(u32),
    Run(u32),
    Save(u32),
    CopyRows,
    /// Work of the first stream waits for what the second has been given.
    Wait(Stream, Stream),
}

impl Watch {
    pub fn computed_rows(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }
}

impl Backend for Watched {
    fn config(&self) -> &ModelConfig {
        self.inner.config()
    }
    fn layout(&self) -> KvLayout {
        self.inner.layout()
    }
    fn slots(&self) -> usize {
        self.inner.slots()
    }
    fn max_batch_tokens(&self) -> usize {
        self.inner.max_batch_tokens()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn numerics_id(&self) -> String {
        self.inner.numerics_id()
    }
    fn begin_step(&mut self, batch: &[BatchSequence<'_>]) -> Result<(), ModelError> {
        assert!(!self.watch.panic.swap(false, Ordering::Relaxed), "the step panics");
        self.rows = batch.iter().map(|sequence| sequence.tokens.len()).sum();
        self.watch.computed.fetch_add(self.rows, Ordering::Relaxed);
        if self.watch.logits.lock().unwrap().is_none() {
            return self.inner.begin_step(batch);
        }
        let batch: Vec<_> =
            batch.iter().map(|sequence| BatchSequence { logits: LogitsWanted::All, ..*sequence }).collect();
        self.inner.begin_step(&batch)
    }
    fn run_layer(&mut self, layer: usize) -> Result<(), ModelError> {
        self.watch.order.lock().unwrap().push(Seen::Run(layer as u32));
        self.inner.run_layer(layer)?;
        if layer == 1
            && let Some(told) = self.watch.running.lock().unwrap().take()
        {
            self.watch.held.store(true, Ordering::Relaxed);
            told.send(()).expect("the test listens");
        }
        Ok(())
    }
    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError> {
        if let Some(kept) = self.watch.logits.lock().unwrap().as_mut() {
            assert!(requests.is_empty(), "their rows would be numbered as the engine asked");
            for row in 0..self.rows {
                let mut logits = vec![f32::NAN; self.inner.config().vocab_size];
                self.inner.read_logits(row, &mut logits)?;
                kept.push(logits);
            }
        }
        self.inner.sample(requests)
    }
    fn read_logits(&mut self, row: usize, out: &mut [f32]) -> Result<(), ModelError> {
        self.inner.read_logits(row, out)
    }
    fn record(&mut self, stream: Stream) -> Event {
        self.inner.record(stream)
    }
    fn wait(&mut self, stream: Stream, event: Event) {
        self.watch.order.lock().unwrap().push(Seen::Wait(stream, event.stream));
        self.inner.wait(stream, event);
    }
    fn is_done(&self, event: Event) -> bool {
        let held = event.stream == Stream::Compute && self.watch.held.load(Ordering::Relaxed);
        !held && self.inner.is_done(event)
    }
    fn synchronize(&self, event: Event) {
        self.inner.synchronize(event);
    }
    fn notify(&mut self, stream: Stream, completion: Completion) {
        if stream == Stream::Load && self.watch.fail_loads.load(Ordering::Relaxed) {
            return self.inner.notify(stream, Box::new(|_| completion(Err(refused()))));
        }
        self.inner.notify(stream, completion);
    }
    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        if stream == Stream::Save {
            self.watch.order.lock().unwrap().push(Seen::Save(copies[0].layer));
            if *self.watch.refuse_save_layer.lock().unwrap() == Some(copies[0].layer) {
                return Err(refused());
            }
            if let Some(slow) = self.watch.slow_save.lock().unwrap().take() {
                self.inner.notify(stream, Box::new(move |_| assert!(slow.recv().is_err())));
            }
        }
        if stream == Stream::Load {
            let layer = *self.watch.refuse_layer.lock().unwrap() == Some(copies[0].layer);
            let slot = *self.watch.refuse_load_into.lock().unwrap();
            let slot = copies.iter().any(|copy| Some(copy.slot) == slot);
            if layer || slot || self.watch.refuse_loads.load(Ordering::Relaxed) {
                return Err(refused());
            }
            self.watch.held.store(false, Ordering::Relaxed);
            self.watch.order.lock().unwrap().push(Seen::Load(copies[0].layer));
            self.disturb(copies);
        }
        self.inner.copy(stream, copies)
    }
    fn slot_memory(&self) -> Option<Arc<dyn SlotMemory>> {
        self.inner.slot_memory()
    }
    fn pin(&mut self, memory: Arc<HostArena>) -> Option<Arc<dyn PinnedMemory>> {
        *self.watch.memory.lock().unwrap() = Some(memory.clone());
        self.inner.pin(memory)
    }
    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError> {
        self.watch.order.lock().unwrap().push(Seen::CopyRows);
        if let Some(gate) = self.watch.gate.lock().unwrap().take() {
            // Ends with an error when the other end is dropped.
            let _ = gate.recv();
        }
        if self.watch.refuse_row_copies.load(Ordering::Relaxed) {
            return Err(refused());
        }
        self.inner.copy_rows(from_slot, to_slot, valid)
    }
}

fn refused() -> ModelError {
    ModelError::Device { device: "test".into(), detail: "refused".into() }
}

impl Watched {
    fn disturb(&self, copies: &[SliceCopy]) {
        let Some(slot) = *self.watch.turned.lock().unwrap() else { return };
        let layout = self.inner.layout();
        for copy in copies.iter().filter(|copy| copy.slot == slot) {
            // SAFETY: half a slice is mapped there, which nobody else writes until the copy is done; it has not begun.
            let keys = unsafe { std::slice::from_raw_parts_mut(copy.host, layout.half_slice_bytes()) };
            turn_keys(&layout, &self.inner.config().inverse_frequencies(), keys, 1);
        }
    }
}
