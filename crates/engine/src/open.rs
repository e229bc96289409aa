//! Opening: the model, the tiers, the secrets, the thread.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::disk::{DiskOptions, DiskTier};
use attentionstore_kv::header::TOKENS_PURPOSE;
use attentionstore_kv::key::Identity;
use attentionstore_kv::lock::DirectoryLock;
use attentionstore_kv::memory_left::MemoryProbe;
use attentionstore_kv::secret::{Secrets, random_secrets};
use attentionstore_kv::weights::weights_hash;
use attentionstore_kv::{KvError, KvLayout};
use attentionstore_model::backend::Backend;
use attentionstore_model::loader::random::RandomModel;
use attentionstore_model::loader::{LoadedModel, ModelSource, Progress, WeightsOrigin, load};
use attentionstore_uring::RateLimits;

use crate::checks::Checks;
use crate::device::{check_device, open_backend};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::grammars::Grammars;
use crate::host::HostSlots;
use crate::identity::Roots;
use crate::inbox::Inbox;
use crate::info::EngineInfo;
use crate::loads::Loads;
use crate::masks::MaskMakers;
use crate::memory::{self, DramMemory, HbmMemory, MemoryKeeper};
use crate::options::EngineOptions;
use crate::outbox::{Outbox, Wake};
use crate::panics::posted_to;
use crate::room::check_room;
use crate::saves::Saves;
use crate::stats::Meters;
use crate::text_service::TextService;
use crate::worker::Worker;

/// Dram slots that remain for staging when the dram tier is off and there is an ssd tier.
const STAGING_SLOTS: u64 = 64;

/// Share of a card's loads that are compared with their checksum.
const LOADS_CHECKED_ON_A_CARD: f64 = 0.02;

/// Version of the order of elements in a slice; raised whenever a layout changes meaning.
const LAYOUT_VERSION: u32 = 1;

impl Engine {
    /// Loads the model, makes the tiers and starts the engine thread. `progress` gets (done, total); `wake` is called,
    /// from any thread, when there are events to take.
    ///
    /// # Errors
    /// A model that cannot be computed, a tier that cannot be had, a data directory that cannot be used.
    pub fn open(
        options: EngineOptions,
        progress: &dyn Fn(u64, u64),
        wake: Wake,
    ) -> Result<Self, EngineError> {
        Self::open_with(options, progress, wake, |backend| backend)
    }

    /// As [`Engine::open`]; `wrap` may put something around the backend, such as one whose copies fail.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(
        options: EngineOptions,
        progress: &dyn Fn(u64, u64),
        wake: Wake,
        wrap: impl FnOnce(Box<dyn Backend>) -> Box<dyn Backend>,
    ) -> Result<Self, EngineError> {
        let lock = options.data_dir.as_deref().map(DirectoryLock::acquire).transpose()?;
        let model = open_model(&options, &|step| report(progress, step))?;
        let text = TextService::open(&model)?;
        let mut backend = wrap(open_backend(&options, &model)?);
        let roots = open_roots(&options, &model, backend.as_ref())?;
        let outbox = Arc::new(Outbox::new(wake));
        let tiers = Tiers::open(
            &options,
            backend.layout(),
            &roots,
            &outbox,
            load_checks(&options, backend.as_ref()),
        )?;
        let memory = open_memory(backend.as_mut(), &tiers)?;
        let info = describe(&options, &model, backend.as_ref(), &text, &roots, (&tiers, &memory));
        progress(1, 1);
        start(&options, (text, backend, roots, outbox, tiers, memory, lock), info)
    }
}

/// Random weights are refused before they are made where there is no room for them.
pub(crate) fn open_model(
    options: &EngineOptions,
    progress: &dyn Fn(Progress),
) -> Result<LoadedModel, EngineError> {
    match &options.model {
        ModelSource::Files(path) => Ok(load(path, progress)?),
        ModelSource::Random(spec) => {
            let random = RandomModel::read(spec)?;
            check_device(options, random.config())?;
            check_room(options, &random)?;
            Ok(random.generate(progress))
        }
    }
}

/// Placing layers is all of the work that takes time before the backend packs them.
fn report(progress: &dyn Fn(u64, u64), step: Progress) {
    if let Progress::Layers { placed, total } = step {
        progress(placed as u64, 2 * total as u64);
    }
}

fn invalid(option: &'static str, detail: String) -> EngineError {
    EngineError::Option { option, detail }
}

fn open_roots(
    options: &EngineOptions,
    model: &LoadedModel,
    backend: &dyn Backend,
) -> Result<Roots, EngineError> {
    let (secrets, cache) = match &options.data_dir {
        Some(directory) => (Secrets::open(directory)?, Some(directory.join("weights-hash.json"))),
        None => (random_secrets()?, None),
    };
    let layout = backend.layout();
    let identity = Identity {
        weights: hash_weights(&model.weights_origin, cache.as_deref())?,
        config: model.identity_config.clone(),
        quantisation: model.quantisation.clone(),
        kv_dtype: format!("{:?}", layout.dtype).to_lowercase(),
        codec: "plain".to_owned(),
        layout_version: LAYOUT_VERSION,
        numerics: backend.numerics_id(),
        ..Identity::default()
    };
    Ok(Roots::new(secrets.hash_key, secrets.server_secret, identity))
}

fn hash_weights(origin: &WeightsOrigin, cache: Option<&Path>) -> Result<[u8; 32], EngineError> {
    match origin {
        WeightsOrigin::Files(files) => Ok(weights_hash(files, cache)?),
        WeightsOrigin::Generated(recipe) => Ok(blake3::hash(recipe.as_bytes()).into()),
    }
}

/// On a CPU a load takes no longer for being compared: the step that reads it takes longer. A card loads faster than one
/// thread can compare.
fn load_checks(options: &EngineOptions, backend: &dyn Backend) -> f64 {
    let default = if backend.slot_memory().is_some() { 1.0 } else { LOADS_CHECKED_ON_A_CARD };
    options.load_checks.unwrap_or(default)
}

/// The host memory and the disk of an engine.
struct Tiers {
    host: HostSlots,
    dram_slots: u32,
    staging_only: bool,
    checks: Arc<Checks>,
    disk: Option<Disk>,
}

impl Tiers {
    fn open(
        options: &EngineOptions,
        layout: KvLayout,
        roots: &Roots,
        outbox: &Arc<Outbox>,
        load_checks: f64,
    ) -> Result<Self, EngineError> {
        let slot_bytes = layout.host_slot_bytes() as u64;
        let staging_only = options.dram_bytes == 0 && options.ssd_bytes > 0;
        let dram_slots = if staging_only { STAGING_SLOTS } else { options.dram_bytes / slot_bytes };
        if dram_slots == 0 && options.dram_bytes > 0 {
            let detail = format!("{} bytes hold no block of {slot_bytes} bytes", options.dram_bytes);
            return Err(invalid("--dram-bytes", detail));
        }
        let arena = Arc::new(HostArena::new((dram_slots.max(1) * slot_bytes) as usize)?);
        let host = HostSlots::new(arena.clone(), layout, dram_slots as u32);
        let checks = Checks::start(host.clone(), outbox.clone(), load_checks)
            .map_err(|source| KvError::Io { path: Path::new("checks thread").to_owned(), source })?;
        let checks = Arc::new(checks);
        let disk = open_disk(options, layout, &arena, roots, outbox)?
            .map(|tier| Disk::new(tier, host.clone(), checks.clone(), outbox.clone()));
        Ok(Self { host, dram_slots: dram_slots as u32, staging_only, checks, disk })
    }
}

/// The first slots are there when this returns.
fn open_memory(backend: &mut dyn Backend, tiers: &Tiers) -> Result<memory::Tiers, EngineError> {
    let probe = MemoryProbe::default();
    let pinned = backend.pin(tiers.host.arena().clone());
    let hbm = backend
        .slot_memory()
        .map(|slots| HbmMemory::new(slots, backend.slots() as u32, backend.layout().block_bytes() as u64));
    let dram = DramMemory::new(tiers.host.clone(), tiers.dram_slots, pinned);
    memory::Tiers::open(hbm, dram, tiers.staging_only, Arc::new(move || probe.read()))
}

fn open_disk(
    options: &EngineOptions,
    layout: KvLayout,
    arena: &Arc<HostArena>,
    roots: &Roots,
    outbox: &Arc<Outbox>,
) -> Result<Option<DiskTier>, EngineError> {
    if options.ssd_bytes == 0 {
        return Ok(None);
    }
    let directory = options
        .ssd_dir
        .as_deref()
        .ok_or_else(|| invalid("--ssd-bytes", "an ssd tier needs a directory".to_owned()))?;
    let limits = RateLimits { read: options.ssd_read_limit, write: options.ssd_write_limit };
    let panics = posted_to(outbox);
    let (model, sealer) = (roots.model(), roots.sealer(TOKENS_PURPOSE));
    let disk = DiskOptions::new(directory, layout, model, sealer, options.ssd_bytes);
    let disk = DiskOptions { limits, panics, ..disk };
    Ok(Some(DiskTier::open(&disk, std::slice::from_ref(arena))?))
}

fn describe(
    options: &EngineOptions,
    model: &LoadedModel,
    backend: &dyn Backend,
    text: &TextService,
    roots: &Roots,
    (tiers, memory): (&Tiers, &memory::Tiers),
) -> EngineInfo {
    let config = backend.config();
    EngineInfo {
        device: backend.describe(),
        model_name: config.name.clone(),
        vocab_size: config.vocab_size,
        model_context: config.max_context,
        capped_by_sliding_window: config.capped_by_sliding_window,
        layout: backend.layout(),
        hbm_slots: backend.slots() as u32,
        dram_slots: tiers.dram_slots,
        hbm_committed: memory.hbm_committed().unwrap_or(backend.slots() as u32),
        dram_committed: memory.dram_committed(),
        ssd_slots: tiers.disk.as_ref().map_or(0, |disk| disk.tier().slots()),
        dram_staging_only: tiers.staging_only,
        io_engine: tiers
            .disk
            .as_ref()
            .map_or_else(|| "none".to_owned(), |disk| disk.tier().level().to_string()),
        max_batch_tokens: options.max_batch_tokens,
        fingerprint: roots.fingerprint(),
        text_fingerprint: text.fingerprint(),
        end_tokens: text.end_tokens().to_vec(),
        temperature: model.generation.temperature,
        top_p: model.generation.top_p,
        top_k: model.generation.top_k,
        min_p: model.generation.min_p,
        repetition_penalty: model.generation.repetition_penalty,
        has_chat_template: text.has_template(),
        template_error: text.template_error(),
        tokenizer_guess: text.guessed(),
        output_format: text.format().name(),
    }
}

/// Everything that was opened, in the order of opening.
type Opened =
    (TextService, Box<dyn Backend>, Roots, Arc<Outbox>, Tiers, memory::Tiers, Option<DirectoryLock>);

fn start(options: &EngineOptions, opened: Opened, info: EngineInfo) -> Result<Engine, EngineError> {
    let (text, backend, roots, outbox, tiers, memory, lock) = opened;
    let meters = Arc::new(Meters::new());
    let inbox = Arc::new(Inbox::default());
    let ahead = options.preload_layers.unwrap_or(info.layout.layers);
    let worker = Worker {
        loads: Loads::new(tiers.host.clone(), tiers.checks.clone(), outbox.clone(), meters.clone(), ahead),
        saves: Saves::new(tiers.host.clone(), tiers.checks.clone(), outbox.clone(), meters.clone()),
        backend,
        sequences: Default::default(),
        keys: roots.hasher().clone(),
        makers: MaskMakers::new(meters.clone()),
        end_tokens: info.end_tokens.clone(),
        outbox: outbox.clone(),
        meters: meters.clone(),
        inbox: inbox.clone(),
        started: 0,
    };
    let thread = thread::Builder::new()
        .name("attentionstore-engine".to_owned())
        .spawn(move || worker.run())
        .map_err(|source| KvError::Io { path: Path::new("engine thread").to_owned(), source })?;
    let memory = MemoryKeeper::start(memory, outbox.clone())
        .map_err(|source| KvError::Io { path: Path::new("memory thread").to_owned(), source })?;
    let thread = Mutex::new(Some(thread));
    let grammars =
        Grammars::new(text.tokenizer(), text.format().clone(), info.vocab_size, info.end_tokens.clone());
    Ok(Engine {
        info,
        text,
        grammars,
        roots,
        outbox,
        meters,
        inbox,
        memory,
        checks: tiers.checks,
        disk: tiers.disk,
        thread,
        _lock: lock,
    })
}
