//! Drives an engine over a tiny model, and stands between it and its backend.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use attentionstore_engine::{Engine, EngineOptions, SamplingParams, SequenceSpec};
use attentionstore_kv::KvLayout;
use attentionstore_kv::arena::HostArena;
use attentionstore_model::backend::{Backend, BatchSequence, Completion, Event, SliceCopy, Stream};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::loader::random::RandomSpec;
use attentionstore_model::sampling::{SampleRequest, Sampled};
use attentionstore_model::{ModelError, ModelSource};

pub const BLOCK: usize = 64;

/// A backend that notes the layers of the loads it is given, and refuses loads while told to.
pub struct Watched {
    inner: Box<dyn Backend>,
    watch: Arc<Watch>,
}

#[derive(Default)]
pub struct Watch {
    pub refuse_loads: AtomicBool,
    /// Told when a step's second layer was enqueued; from then on the step is running until a load was enqueued.
    pub running: Mutex<Option<Sender<()>>>,
    /// Whether a step is held up like that.
    pub held: AtomicBool,
    /// `Load(layer)` and `Run(layer)` in the order in which they were enqueued.
    pub order: Mutex<Vec<Seen>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Load(u32),
    Run(u32),
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
        self.inner.begin_step(batch)
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
    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<Sampled>, ModelError> {
        self.inner.sample(requests)
    }
    fn read_logits(&mut self, row: usize, out: &mut [f32]) -> Result<(), ModelError> {
        self.inner.read_logits(row, out)
    }
    fn record(&mut self, stream: Stream) -> Event {
        self.inner.record(stream)
    }
    fn wait(&mut self, stream: Stream, event: Event) {
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
        self.inner.notify(stream, completion);
    }
    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        if stream == Stream::Load {
            if self.watch.refuse_loads.load(Ordering::Relaxed) {
                return Err(ModelError::Device { device: "test".into(), detail: "refused".into() });
            }
            self.watch.held.store(false, Ordering::Relaxed);
            self.watch.order.lock().unwrap().push(Seen::Load(copies[0].layer));
        }
        self.inner.copy(stream, copies)
    }
    fn pin(&mut self, memory: Arc<HostArena>) -> Result<(), ModelError> {
        self.inner.pin(memory)
    }
    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError> {
        self.inner.copy_rows(from_slot, to_slot, valid)
    }
}

/// An engine over the two-layer fixture, driven one event at a time.
pub struct Driver {
    pub engine: Engine,
    pub watch: Arc<Watch>,
    woken: Receiver<()>,
    pending: Vec<Told>,
    next_id: u32,
}

/// What the engine told, as far as these tests ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Step { step: u32, rows: Vec<Row> },
    Transfer { id: u32, error: String },
    Failed { code: String },
}

/// Sequence, status (0 ok, 1 no-op, 2 void) and the sampled token.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub sequence: u32,
    pub status: u32,
    pub token: Option<u32>,
}

/// Names the device of these tests; by default the CPU's.
const DEVICE_VARIABLE: &str = "ATTENTIONSTORE_TEST_DEVICE";

/// Device, model, and how much larger its blocks are than the two-layer fixture's. A GPU's kernels do not have the
/// fixture's heads of 16; there the model is a random one.
fn subject() -> (String, ModelSource, u64) {
    match std::env::var(DEVICE_VARIABLE) {
        Ok(device) if device != "cpu" => {
            let random = RandomSpec { shape: "smollm2-135m".into(), seed: 1 };
            (device, ModelSource::Random(random), 16)
        }
        _ => {
            let fixture =
                PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/models/llama/hf");
            ("cpu".into(), ModelSource::Files(fixture), 1)
        }
    }
}

impl Driver {
    pub fn open(preload_layers: Option<usize>) -> Self {
        let watch = Arc::new(Watch::default());
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let (device, model, scale) = subject();
        let options = EngineOptions {
            model,
            device,
            kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
            threads: 2,
            max_batch_tokens: 512,
            hbm_bytes: scale * (2 << 20),
            dram_bytes: scale * (1 << 20),
            ssd_bytes: 0,
            ssd_dir: None,
            data_dir: None,
            ssd_read_limit: None,
            ssd_write_limit: None,
            preload_layers,
            kv_dtype: "bf16".into(),
            instruction_set: None,
        };
        let seen = watch.clone();
        let engine = Engine::open_with(
            options,
            &|_, _| {},
            Box::new(move || {
                // Nobody listens any more once a test has ended.
                let _ = wake.lock().unwrap().send(());
            }),
            |inner| Box::new(Watched { inner, watch: seen }),
        )
        .expect("the fixture loads");
        Self { engine, watch, woken, pending: Vec::new(), next_id: 0 }
    }

    pub fn add(&self, sequence: u32, tokens: &[u32]) {
        let sampling = SamplingParams::greedy();
        let spec = SequenceSpec {
            sequence,
            tokens: tokens.to_vec(),
            root: [0; 32],
            view: None,
            sampling,
            stop_tokens: Vec::new(),
            ignore_eos: true,
            max_tokens: 100,
        };
        self.engine.add_sequence(spec, Vec::new()).unwrap();
    }

    /// One row group of `sequence`, its whole table given, one token sampled; waits for its reply.
    /// A decode row in the table as it is, planned before the reply of `step - 1`.
    pub fn plan_ahead(&mut self, step: u32, sequence: u32, from: u32) {
        self.engine.submit(&[step, 0, 0, 1, 0, sequence, from, 1, 1]).unwrap();
    }

    pub fn step(&mut self, step: u32, sequence: u32, from: u32, count: u32, table: &[u32]) -> Row {
        let mut words = vec![step, 1, table.len() as u32, 1, 0, sequence];
        for (index, slot) in table.iter().enumerate() {
            words.extend([sequence, index as u32, *slot]);
        }
        words.extend([sequence, from, count, 1]);
        self.engine.submit(&words).unwrap();
        match self.next(|told| matches!(told, Told::Step { step: replied, .. } if *replied == step)) {
            Told::Step { rows, .. } => rows[0].clone(),
            other => panic!("{other:?} is no step"),
        }
    }

    /// Starts a transfer of kind `kind` (as the wire numbers them) and waits for its end; the error code.
    pub fn transfer(&mut self, kind: u32, a: u32, b: u32, valid: u32) -> String {
        let id = self.next_id;
        self.next_id += 1;
        let mut words = vec![kind, id, a, b, valid];
        words.extend([0; 8]);
        self.engine.transfer(&words).unwrap();
        match self.next(|told| matches!(told, Told::Transfer { id: done, .. } if *done == id)) {
            Told::Transfer { error, .. } => error,
            other => panic!("{other:?} is no transfer"),
        }
    }

    /// The first event that `wanted` takes; others wait for their own turn.
    pub fn next(&mut self, wanted: impl Fn(&Told) -> bool) -> Told {
        loop {
            if let Some(at) = self.pending.iter().position(&wanted) {
                return self.pending.remove(at);
            }
            self.woken.recv().expect("the engine lives");
            let mut packed = vec![0; 1 << 16];
            let length = self.engine.events().take(&mut packed);
            self.pending.extend(read_events(&packed[..length]));
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn text(bytes: &[u8], at: &mut usize) -> String {
    let length = word(bytes, *at) as usize;
    let value = String::from_utf8(bytes[*at + 4..*at + 4 + length].to_vec()).unwrap();
    *at += 4 + length.next_multiple_of(4);
    value
}

fn read_events(mut bytes: &[u8]) -> Vec<Told> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 4) as usize;
        let (event, rest) = bytes.split_at(length);
        events.push(match word(event, 0) {
            0 => Told::Step { step: word(event, 8), rows: read_rows(event) },
            1 => Told::Transfer { id: word(event, 8), error: text(event, &mut 24) },
            _ => Told::Failed { code: text(event, &mut 8) },
        });
        bytes = rest;
    }
    events
}

fn read_rows(event: &[u8]) -> Vec<Row> {
    let mut at = 28;
    (0..word(event, 24))
        .map(|_| {
            let (sequence, flags, filled) = (word(event, at), word(event, at + 4), word(event, at + 8));
            at += 12 + filled as usize * 36;
            text(event, &mut at);
            let token = (flags & 4 != 0).then(|| word(event, at));
            at += if token.is_some() { 4 } else { 0 };
            assert_eq!(flags & !7, 0, "these tests ask for no log probabilities and finish nothing");
            Row { sequence, status: flags & 3, token }
        })
        .collect()
}
