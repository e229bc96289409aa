//! The protocol between the threads that send work and the engine thread, under a model checker: the code that ships,
//! over a device that knows only where each slice's bytes came from.
//!
//! A sampled token says whether its row read what was to be there. Schedules are random; a failure prints its own.

mod device;

use std::path::Path;
use std::sync::Arc;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::key::KeyHasher;
use attentionstore_model::config::ModelConfig;
use attentionstore_model::loader::random::{RandomModel, RandomSpec};
use attentionstore_model::sampling::SamplingParams;
use attentionstore_model::text::{AnswerText, StopStrings, Tokenizer};
use attentionstore_uring::caught;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};

use self::device::{COMPUTED, Device, Faults, LAYOUT, LOADED, READ_WRONG, SAW_ALL};
use crate::bans::Bans;
use crate::checks::Checks;
use crate::event::{EngineEvent, RowStatus};
use crate::host::HostSlots;
use crate::inbox::Inbox;
use crate::loads::Loads;
use crate::masks::MaskMakers;
use crate::outbox::Outbox;
use crate::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, Transfer, TransferKind};
use crate::saves::Saves;
use crate::sequence::SequenceSpec;
use crate::stats::Meters;
use crate::wire::decode_events;
use crate::worker::Worker;

/// Schedules of each kind a scenario.
const SCHEDULES: usize = 3000;
const CHANGES: usize = 4;
/// Rounds of schedules for the fault that is put back: one schedule in some thousands meets it.
const ROUNDS: u64 = 40;
const BLOCK: u32 = attentionstore_kv::BLOCK_TOKENS as u32;

/// The faults and settings of one run.
#[derive(Clone, Copy, Default)]
struct Scenario {
    faults: Faults,
    /// Layers enqueued ahead of the running one.
    ahead: usize,
    overtaking: bool,
}

/// Shared by the runs, because making it takes long.
struct Ground {
    arena: Arc<HostArena>,
    tokenizer: Arc<Tokenizer>,
    config: Arc<ModelConfig>,
}

impl Ground {
    fn new() -> Self {
        let words: serde_json::Map<String, serde_json::Value> =
            (0..16).map(|id| (format!("w{id}"), id.into())).collect();
        let tokenizer = serde_json::json!({
            "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"}
        });
        let tokenizer = Tokenizer::from_json(Path::new("words"), tokenizer.to_string().as_bytes()).unwrap();
        let arena = HostArena::new(4 * LAYOUT.host_slot_bytes()).unwrap();
        let model = RandomModel::read(&RandomSpec { shape: "smollm2-135m".into(), seed: 1 }).unwrap();
        let config = Arc::new(model.config().clone());
        Self { arena: Arc::new(arena), tokenizer: Arc::new(tokenizer), config }
    }

    fn hosts(&self) -> HostSlots {
        HostSlots::new(self.arena.clone(), LAYOUT, 4)
    }

    fn worker(&self, scenario: Scenario, inbox: &Arc<Inbox>, outbox: &Arc<Outbox>) -> (Worker, Device) {
        let (hosts, meters) = (self.hosts(), Arc::new(Meters::new()));
        // The model knows only threads that the checker schedules.
        let checks = Arc::new(Checks::inline(hosts.clone(), outbox.clone(), 0.0));
        let device = Device::new(self.config.clone(), scenario.faults);
        let worker = Worker {
            backend: Box::new(device.clone()),
            sequences: Default::default(),
            loads: Loads::new(hosts.clone(), checks.clone(), outbox.clone(), meters.clone(), scenario.ahead),
            saves: Saves::new(hosts, checks, outbox.clone(), meters.clone()),
            keys: KeyHasher::new([0; 32]),
            makers: MaskMakers::new(meters.clone()),
            end_tokens: Vec::new(),
            outbox: outbox.clone(),
            meters,
            inbox: inbox.clone(),
            started: 0,
        };
        (worker, device)
    }

    /// A turn over a loaded block: its plan is sent with the load, the next plan one ahead, and copies and saves of the
    /// same slots beside them.
    fn run(&self, scenario: Scenario) {
        let hosts = self.hosts();
        (0..LAYOUT.layers).for_each(|layer| {
            // SAFETY: no copy is under way yet.
            unsafe { hosts.slice(0, layer).write(LOADED) }
        });
        let inbox = Arc::new(if scenario.overtaking { Inbox::overtaking() } else { Inbox::default() });
        let outbox = Arc::new(Outbox::new(Box::new(|| {})));
        let (worker, device) = self.worker(scenario, &inbox, &outbox);
        let engine = thread::spawn(move || worker.run());
        self.send(&inbox);
        inbox.close();
        engine.join().unwrap();
        device.close();
        let mut packed = vec![0; 1 << 16];
        let length = outbox.take(&mut packed);
        self.check(scenario, &decode_events(&packed[..length]).unwrap());
    }

    fn send(&self, inbox: &Inbox) {
        let load = |id, hbm_slot| Transfer { id, kind: TransferKind::Load { dram_slot: 0, hbm_slot } };
        inbox.add(self.request(), self.answer()).unwrap();
        // The engine has mostly taken what was sent so far, and looks for more while more is being sent.
        (0..12).for_each(|_| thread::yield_now());
        inbox.drop_sequence(9).unwrap();
        inbox.transfers(vec![load(LOAD, 5)]).unwrap();
        let row = |from, count| PlanRow { sequence: 1, from, count, sample: true };
        let table = |index, slot| TableUpdate { sequence: 1, index, slot };
        inbox
            .plan(StepPlan {
                step: 1,
                tables: vec![table(0, 5), table(1, 6)],
                rows: vec![row(BLOCK, 20)],
                saves: vec![PlanSave { id: STEP_SAVE, sequence: 1, index: 1, dram_slot: 1, valid: 20 }],
                ..StepPlan::default()
            })
            .unwrap();
        inbox.drop_sequence(9).unwrap();
        let copy = TransferKind::Copy { from_hbm_slot: 5, to_hbm_slot: 7, valid: BLOCK };
        let save = TransferKind::Save { hbm_slot: 5, dram_slot: 2, valid: BLOCK };
        inbox.transfers(vec![Transfer { id: COPY, kind: copy }, Transfer { id: SAVE, kind: save }]).unwrap();
        inbox.plan(StepPlan { step: 2, rows: vec![row(BLOCK + 20, 1)], ..StepPlan::default() }).unwrap();
        // Nothing waits for this one.
        inbox.transfers(vec![load(UNREAD, 8)]).unwrap();
    }

    fn request(&self) -> SequenceSpec {
        SequenceSpec {
            sequence: 1,
            tokens: vec![1; BLOCK as usize + 20],
            root: [0; 32],
            view: None,
            output: None,
            prefill: 0,
            constraint: None,
            sampling: SamplingParams::greedy(),
            stop_tokens: Vec::new(),
            include_stop: false,
            bans: Bans { ignore_eos: true, ..Bans::default() },
            max_tokens: 8,
            prompt_logprobs: None,
        }
    }

    fn answer(&self) -> AnswerText {
        AnswerText::new(self.tokenizer.clone(), Arc::new(StopStrings::new::<&str>(&[]).unwrap()))
    }

    fn check(&self, scenario: Scenario, told: &[EngineEvent]) {
        let ends = |id| {
            let ends: Vec<&str> = told.iter().filter_map(|event| end_of(event, id)).collect();
            assert_eq!(ends.len(), 1, "transfer {id} ends once: {told:?}");
            ends[0]
        };
        let ended = [LOAD, STEP_SAVE, COPY, SAVE, UNREAD].map(ends);
        let rows: Vec<_> = told.iter().filter_map(row).collect();
        assert_eq!(rows.len(), 2, "both steps are answered: {told:?}");
        for (status, token) in rows {
            assert_ne!(token, Some(READ_WRONG), "a row was sampled over rows that had not arrived: {told:?}");
            assert!(status != RowStatus::Ok || token == Some(SAW_ALL), "{told:?}");
            assert!(status == RowStatus::Ok || ended[0] != "", "a row is void without a cause: {told:?}");
        }
        if !scenario.faults.any() {
            assert_eq!(ended, [""; 5], "{told:?}");
        }
        let hosts = self.hosts();
        for (end, slot, kept) in [(ended[1], 1, COMPUTED), (ended[3], 2, LOADED)] {
            for layer in (0..LAYOUT.layers).filter(|_| end.is_empty()) {
                // SAFETY: every copy has ended.
                let found = unsafe { hosts.slice(slot, layer).read() };
                assert_eq!(found, kept, "what was saved to dram slot {slot}, layer {layer}: {told:?}");
            }
        }
    }
}

/// The error code of a transfer that ended, empty where it succeeded.
fn end_of(event: &EngineEvent, transfer: u32) -> Option<&str> {
    match event {
        EngineEvent::Transfer(done) if done.id == transfer => {
            Some(done.error.as_ref().map_or("", |reason| reason.code.as_str()))
        }
        _ => None,
    }
}

/// Status and token of a step's only row.
fn row(event: &EngineEvent) -> Option<(RowStatus, Option<u32>)> {
    match event {
        EngineEvent::Step(reply) => {
            let row = &reply.rows[0];
            Some((row.status, row.sampled.as_ref().map(|sampled| sampled.token)))
        }
        _ => None,
    }
}

/// Ids of transfers.
const LOAD: u32 = 1;
const STEP_SAVE: u32 = 2;
const COPY: u32 = 3;
const SAVE: u32 = 4;
const UNREAD: u32 = 5;

/// Half of the schedules are random at every step; half let one thread run for long and change at few, random, points.
fn explore(scenario: Scenario) {
    let ground = Arc::new(Ground::new());
    let again = ground.clone();
    shuttle::check_random(move || ground.run(scenario), SCHEDULES);
    shuttle::check_pct(move || again.run(scenario), SCHEDULES, CHANGES);
}

/// The same schedules for the same seed.
fn explore_from(scenario: Scenario, seed: u64) {
    let ground = Arc::new(Ground::new());
    let again = ground.clone();
    let random = RandomScheduler::new_from_seed(seed, SCHEDULES);
    Runner::new(random, Config::default()).run(move || ground.run(scenario));
    let pct = PctScheduler::new_from_seed(seed, CHANGES, SCHEDULES);
    Runner::new(pct, Config::default()).run(move || again.run(scenario));
}

#[test]
fn no_row_reads_what_has_not_arrived_and_everything_ends() {
    for ahead in [1, LAYOUT.layers] {
        explore(Scenario { ahead, ..Scenario::default() });
    }
}

#[test]
fn what_is_refused_or_fails_on_its_way_is_neither_sampled_nor_saved() {
    for ahead in [1, LAYOUT.layers] {
        for call in 0..2 * LAYOUT.layers as u32 {
            explore(Scenario {
                ahead,
                faults: Faults { refused_load: Some(call), ..Faults::default() },
                ..Scenario::default()
            });
            explore(Scenario {
                ahead,
                faults: Faults { failed_load: Some(call), ..Faults::default() },
                ..Scenario::default()
            });
            explore(Scenario {
                ahead,
                faults: Faults { refused_save: Some(call), ..Faults::default() },
                ..Scenario::default()
            });
        }
    }
}

#[test]
fn the_model_finds_a_plan_that_overtakes_its_load() {
    let scenario = Scenario { ahead: LAYOUT.layers, overtaking: true, ..Scenario::default() };
    let fault = (0..ROUNDS).find_map(|seed| caught(|| explore_from(scenario, seed)).err());
    let fault = fault.expect("the fault is there");
    assert!(fault.contains("over rows that had not arrived"), "{fault}");
}
