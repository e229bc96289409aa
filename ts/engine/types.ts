// The engine: what computes steps and moves blocks. Two implementations, NativeEngine and SimulatedEngine, one
// contract suite. TypeScript decides which block goes where; the engine moves it and says when it is done.

import type { EndsOf, StreamName } from '../protocol/lanes.js'
import type { LowerTierName, SlotTierName, TierName } from '../protocol/tiers.js'
import type { ChatText, EncodedPrompt, ToolText } from './chat-text.js'

export type { LowerTierName, SlotTierName, TierName }
export type * from './chat-text.js'

/** Tokens in a full block. */
export const BLOCK_TOKENS = 64

/** 32 bytes as a latin1 string of length 32: a block key that works as a Map key without conversion. */
export type BlockKey = string

export interface EngineInfo {
  readonly kind: 'native' | 'simulated'
  /** e.g. `cpu (avx2, 2 threads)` */
  readonly device: string
  readonly modelName: string
  readonly layers: number
  readonly vocabSize: number
  /** Longest context of the model in tokens, before `--max-context`. */
  readonly modelContext: number
  /** One layer's part of one block, all layers of one block, and a block's extent in dram and on ssd, in bytes. */
  readonly sliceBytes: number
  readonly blockBytes: number
  readonly hostSlotBytes: number
  /** Slots of each tier. `dram` may hold staging slots even when the tier is off; see `dramStagingOnly`. */
  readonly slots: Readonly<Record<SlotTierName, number>>
  readonly dramStagingOnly: boolean
  /** Of these, the slots from the first on whose memory, or room on disk, is there; others may be used once `grow` has brought them. */
  readonly committed: Readonly<Record<SlotTierName, number>>
  /** Files of the ssd tier; null: there is no such tier. */
  readonly extents: ExtentOwners | null
  /** e.g. `io_uring (registered, O_DIRECT)`; `none` without an ssd tier. */
  readonly ioEngine: string
  readonly maxBatchTokens: number
  /** Identity of everything a block's bytes depend on; hex. A store with another fingerprint holds foreign blocks. */
  readonly fingerprint: string
  /** Hash of tokenizer and template, hex: part of the key of a token record. */
  readonly textFingerprint: string
  readonly endTokens: readonly number[]
  /** Sampling defaults of generation_config.json, or of general.sampling.* in GGUF. */
  readonly defaults: Readonly<{ temperature?: number; topP?: number; topK?: number; minP?: number; repetitionPenalty?: number }>
  readonly hasChatTemplate: boolean
  /** Why there is no chat template although the model brings one. */
  readonly templateError?: string
  /** The guess about the tokenizer where the model's file does not say. */
  readonly tokenizerGuess?: string
  /** The form in which the model writes calls, e.g. `hermes`; found from its template and tokens. */
  readonly outputFormat: string
}

/** Whose extents lie in the directory of the ssd tier. An owner is a model and layout, by a name of one line. */
export interface ExtentOwners {
  /** The engine's own. */
  readonly owner: string
  /** Others, when the engine was opened, and the slots from the first on that each had. */
  readonly foreign: ReadonlyArray<{ readonly owner: string; readonly slots: number }>
}

export interface SamplingParams {
  temperature: number
  topK: number
  topP: number
  minP: number
  repetitionPenalty: number
  presencePenalty: number
  frequencyPenalty: number
  logitBias: ReadonlyArray<readonly [token: number, bias: number]>
  /** An unsigned 64-bit number. */
  seed: bigint
  /** null: none; n: log probabilities with the n likeliest alternatives. */
  logprobs: number | null
}

/**
 * What a conversation longer than its context still sees: window W, kept head S and step D, in tokens, whole blocks.
 * Token i has epoch e = 0 before W and 1 + ⌊(i − W)/D⌋ from there on; it sees [0, S) and [S + e·D, i].
 */
export interface ViewParameters {
  readonly window: number
  readonly head: number
  readonly step: number
}

export interface ToolDefinition extends ToolText {
  /** The arguments must satisfy the schema, also where the model chooses whether to call. */
  readonly strict: boolean
}

/** May the answer call a tool, must it, or must it call this one. */
export type ToolChoice = 'none' | 'auto' | 'required' | { readonly name: string }

/** How an answer is read. */
export interface OutputReading {
  readonly tools: readonly ToolText[]
  /** The answer may call tools; where it may not, the markers of calls are content. */
  readonly calls: boolean
  /** The prompt has opened the reasoning. */
  readonly startsInReasoning: boolean
}

/** The form that an answer is to have, as `EngineText.compile` takes it. */
export type ConstraintSource =
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly schema: unknown }
  | { readonly kind: 'regex'; readonly pattern: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'grammar'; readonly grammar: string }
  /** Calls of tools in the model's own form. */
  | { readonly kind: 'calls'; readonly tools: readonly ToolDefinition[]; readonly choice: ToolChoice; readonly parallel: boolean }

/** What a source was compiled to. Of use to the engine that made it, for any number of sequences. */
export interface CompiledConstraint {
  readonly kind: ConstraintSource['kind']
}

/** A request as the engine knows it. Sent once; block tables and rows come with the plans. */
export interface SequenceSpec {
  /** Chosen by the scheduler, unsigned 32 bits, unique among living sequences. */
  readonly sequence: number
  readonly tokens: Uint32Array
  /** Root of the key chain: identity with this request's cache salt. From `EngineText.root`. */
  readonly root: BlockKey
  /** null: every token sees everything before it. */
  readonly view: ViewParameters | null
  readonly sampling: SamplingParams
  readonly stop: readonly string[]
  /** Token ids that end the answer besides the model's end tokens. */
  readonly stopTokens: readonly number[]
  readonly ignoreEos: boolean
  /**
   * Before the answer has so many tokens, neither an end token nor a stop token comes, and no stop string that is complete
   * within them ends it. A constraint that leaves only an end ends the answer all the same. @default 0
   */
  readonly minTokens?: number
  /** Token sequences that the answer must not contain: the last token of one does not come behind the others. @default none */
  readonly badWords?: ReadonlyArray<readonly number[]>
  /** A stop string is the end of the answer's text; else the text ends before it. @default false */
  readonly includeStop?: boolean
  /** Most tokens to sample. */
  readonly maxTokens: number
  /** The prompt's tokens get log probabilities, each with so many of the likeliest ones. Absent: they get none. */
  readonly promptLogprobs?: number
  /** Absent: all of the answer is content, as after a raw prompt. */
  readonly output?: OutputReading
  /**
   * The last so many tokens are the beginning of the message that the answer goes on with. They are read before the answer,
   * so that reasoning and calls that begin in them are known, and are not told again. @default 0
   */
  readonly prefill?: number
  /** The answer is held to it, from the end of its reasoning on. Absent: any token may come. */
  readonly constraint?: CompiledConstraint
}

/** Tokens [from, from + count) of a sequence, by token index, all of one epoch. The last row of a decode step has count 1. */
export interface PlanRow {
  readonly sequence: number
  readonly from: number
  readonly count: number
  /** Sample the token after the last row. True only if from + count is the known length when the step runs. */
  readonly sample: boolean
}

/**
 * Block `index` of a sequence, counted from its first token, lies in hbm slot `slot` from this step on. A block that
 * no row from now on sees needs no slot, and its slot may hold something else.
 */
export interface TableUpdate {
  readonly sequence: number
  readonly index: number
  readonly slot: number
}

/**
 * Saved layer by layer beside the step that fills the block. Completion: a TransferDone with this id; its error is
 * `not_computed` where the sequence's rows were a no-op or void, and the dram slot then holds nothing. Not of rows that are
 * sampled under a constraint: late, they are computed again, and the block with them.
 */
export interface PlanSave {
  readonly id: number
  readonly sequence: number
  /** Counted from the sequence's first token. */
  readonly index: number
  readonly dramSlot: number
  /** Rows of the block that hold KV after this step, counted from its first. Rows beyond are zeroed in dram. */
  readonly valid: number
}

/**
 * One step. Plans are executed in the order of submission; at most two may be unanswered.
 * Rows of one sequence are contiguous and appear once. Only what changed is sent.
 */
export interface StepPlan {
  readonly step: number
  /** Sequences whose block table is emptied first (they come back after preemption). */
  readonly resets: readonly number[]
  readonly tables: readonly TableUpdate[]
  readonly rows: readonly PlanRow[]
  readonly saves: readonly PlanSave[]
}

/** A transfer along a lane: its kind, and a slot at each end, `dramSlot` and `hbmSlot` for instance. */
type Along<Name extends StreamName> = { readonly kind: Name } & { readonly [Tier in EndsOf<Name> as `${Tier}Slot`]: number }

/** The block whose bytes are expected in a durable slot. */
interface Expected {
  readonly key: BlockKey
  readonly valid: number
}

/** A block as its header on ssd describes it. The tokens are sealed there. */
export interface WrittenBlock {
  readonly key: BlockKey
  /** Key of the block before it, or the root. */
  readonly parent: BlockKey
  readonly index: number
  /** What its key depends on besides: only of a block that starts at or after the window. */
  readonly view: ViewParameters | undefined
  /** Whole milliseconds since the Unix epoch. */
  readonly lastUse: number
  /** As many of its rows hold KV. */
  readonly tokens: Uint32Array
}

/**
 * A transfer outside a step. `load` goes layer by layer on the load stream and every later step that reads the slot
 * waits for it layer by layer; `copy` runs on the compute stream before the next step.
 */
export type Transfer = { readonly id: number } & TransferWork

type TransferWork =
  | Along<'load'>
  | (Along<'save'> & { readonly valid: number })
  | (Along<'read'> & Expected)
  | (Along<'write'> & { readonly block: WrittenBlock })
  | { readonly kind: 'copy'; readonly fromHbmSlot: number; readonly toHbmSlot: number; readonly valid: number }
  /** Overwrites the slot's header and bytes with zeros. Nothing else may be under way for the slot. */
  | { readonly kind: 'erase'; readonly ssdSlot: number }
  /** The same of a foreign owner's slot; `owner`: its place in `info.extents.foreign`. Done when it is durable. */
  | { readonly kind: 'erase_foreign'; readonly owner: number; readonly slot: number }
  /** Completes when every write and erasure enqueued before it is durable. */
  | { readonly kind: 'flush' }
  /** Compares the slot's bytes with the checksum that they have had since their save or read. */
  | { readonly kind: 'check'; readonly dramSlot: number }

/**
 * Why an answer ended: an end token or a stop, its limit, the end of its tool calls, that no token may come next, or that
 * its constraint took too much work for a token. The list is open: whatever tells a reason on has a word for those that
 * it does not know.
 */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'none_allowed' | 'constraint_failed' | (string & Record<never, never>)

export interface TokenLogprob {
  readonly token: number
  readonly logprob: number
  readonly top: ReadonlyArray<readonly [token: number, logprob: number]>
}

/** What the tokens before it say of a known token: of the raw logits, natural. */
export interface ScoredToken {
  readonly logprob: number
  /** 1 + the number of likelier tokens. */
  readonly rank: number
  /** The likeliest ones, in order. */
  readonly top: ReadonlyArray<readonly [token: number, logprob: number]>
}

/** A part of an answer. Joined by kind, in order, the parts are the answer as its client sees it. */
export type OutputPart =
  | { readonly kind: 'content' | 'reasoning'; readonly text: string }
  /** A call begins, and the one before it is complete. */
  | { readonly kind: 'call'; readonly name: string }
  /** More of the last call's arguments: joined they are one JSON text. */
  | { readonly kind: 'arguments'; readonly text: string }

/** What became of one planned row group. */
export interface RowResult {
  readonly sequence: number
  /**
   * `noop`: the sequence had finished before; `void`: its load failed, nothing was sampled, saved or made visible;
   * `late`: its constraint did not say in time which tokens may come. Nothing was sampled or made visible then, nor by
   * the rows behind it in the plan that was sent ahead, which are late too: the same rows are to be planned again.
   */
  readonly status: 'ok' | 'noop' | 'void' | 'late'
  /** The sampled token, where the plan asked for one. Absent where an end or stop token ended the answer, or no token may come next. */
  readonly token?: number
  readonly logprob?: TokenLogprob
  /** Parts that can be shown now; text is held back while it might be the beginning of a stop string or of a marker. */
  readonly parts: readonly OutputPart[]
  /** Where the request asks about its prompt: the scores of the prompt tokens behind these rows, one a row, in order. */
  readonly scored?: readonly ScoredToken[]
  readonly finish?: FinishReason
  /** With `finish`: what the stop was, for `stop_reason`: a stop string, a token, or null. */
  readonly stopped?: string | number | null
  /**
   * With `finish`: answer tokens that lie wholly inside the returned answer, markers and the tokens of a prefill included, and
   * the UTF-8 bytes of their text.
   */
  readonly insideTokens?: number
  readonly insideBytes?: number
  /** With `finish`: of those tokens, the leading ones that are reasoning, with its markers. @default 0 */
  readonly reasoningTokens?: number
  /** Keys of the blocks that were filled by these rows, in order of index. */
  readonly filled: ReadonlyArray<{ readonly index: number; readonly key: BlockKey }>
  /** With `finish`: tokens whose KV was computed, and the key of the last, partly filled block (null: none). */
  readonly computedTokens?: number
  readonly tailKey?: BlockKey | null
}

export interface StepReply {
  readonly kind: 'step'
  readonly step: number
  readonly rows: readonly RowResult[]
  /** Milliseconds from the start of the step to its end, and of those, waiting for loads. */
  readonly stepMs: number
  readonly loadStallMs: number
  /** Layers that had to wait for a load. */
  readonly stalledLayers: number
}

export interface TransferDone {
  readonly kind: 'transfer'
  readonly id: number
  /**
   * undefined: done. `kv_damaged`: the bytes are not the block asked for. `kv_foreign`: of another model, format or server.
   * `dram_damaged`: the dram slot does not hold what was put there. `batch_damaged`: so it was with another load that came
   * together with this one, whose own slot is sound.
   */
  readonly error?: string
  /** With `error`: the sentence that says what failed. */
  readonly detail?: string
  readonly bytes: number
  readonly ms: number
}

/** How far the memory, or the files, of a tier have come, in slots from the first on; never fewer than before. */
export interface TierCommitted {
  readonly kind: 'committed'
  readonly tier: SlotTierName
  readonly slots: number
  /** There are fewer than were asked for, and will be no more until they are asked for again. `memory_low`: the system has too little left; `kv_no_space`: the disk; `kv_bound`: the tier's files take all that they may. */
  readonly error?: string
  /** With `error`: the sentence that says why. */
  readonly detail?: string
}

/** The engine can do no more: nothing under way is reported any more, and every call throws. */
export interface EngineFailed {
  readonly kind: 'failed'
  readonly code: string
  readonly message: string
}

/** The end of another owner's extents made room for the engine's own. */
export interface ExtentGivenUp {
  readonly kind: 'given_up'
  readonly owner: string
  /** Slots from the first on that the owner has left. */
  readonly slotsLeft: number
  /** That the disk got back. */
  readonly bytes: number
}

export type EngineEvent = StepReply | TransferDone | TierCommitted | ExtentGivenUp | EngineFailed

/**
 * Text in, tokens out, never on the event loop; a short text waits for no long one. Where `mostTokens` is given, a text
 * with more tokens is rejected with `PromptTooLong` as soon as that is known.
 */
export interface EngineText {
  /** Renders and tokenises a chat. `date`: ISO day for templates that ask. What the template refuses is an error of its words. */
  encodeChat(chat: ChatText, date: string, mostTokens?: number): Promise<EncodedPrompt>
  /** A raw prompt, with the tokenizer's own beginning token. User text never becomes special tokens. */
  encodePrompt(text: string, mostTokens?: number): Promise<Uint32Array>
  /**
   * As vLLM's /tokenize. `addSpecialTokens`: with the tokenizer's own beginning token. `parseSpecial`: names of special tokens
   * in the text are these tokens. @default parseSpecial false
   */
  tokenize(text: string, addSpecialTokens: boolean, mostTokens?: number, parseSpecial?: boolean): Promise<Uint32Array>
  decode(tokens: Uint32Array): Promise<string>
  /**
   * Never on the event loop, nor on the threads that texts wait for. Rejects with an `EngineError` whose code begins with
   * `grammar` where the source is at fault: malformed, too large, too complex, or with a part that is not supported.
   */
  compile(source: ConstraintSource): Promise<CompiledConstraint>
  /** The bytes of one token, for logprobs. */
  tokenBytes(token: number): Uint8Array
  /** Root of the key chain for a tenant and a cache salt (both may be empty). */
  root(tenant: string, cacheSalt: string): BlockKey
  /** Keys of all blocks of `tokens`, the last partial one included; from the window on the view is part of them. */
  keys(root: BlockKey, tokens: Uint32Array, view: ViewParameters | null): Promise<BlockKey[]>
  /** Key of block `index` with these tokens after `parent`. */
  blockKey(parent: BlockKey, index: number, tokens: Uint32Array, view: ViewParameters | null): BlockKey
}

/** Of each stream: bytes since start, the milliseconds in which any moved, and the transfers that wait or run now. */
type StreamStats = Readonly<Record<`${StreamName}${'Bytes' | 'Ms' | 'QueueDepth'}`, number>>

/** Figures since start; bytes, operations, milliseconds. Rates are measured, not nominal. */
export interface EngineStats extends StreamStats {
  readonly steps: number
  readonly computeMs: number
  readonly loadStallMs: number
  readonly stalledLayers: number
  readonly damagedReads: number
  /** Dram slots that were compared with their checksum, and those of them that held something else. */
  readonly dramChecked: number
  readonly dramDamaged: number
  /** Masks of constrained answers, and the rows that were not sampled because theirs was not ready. */
  readonly masks: number
  readonly maskMs: number
  readonly lateRows: number
  /** Sources that were compiled, that had been before, and that were refused. */
  readonly grammarsCompiled: number
  readonly grammarsCached: number
  readonly grammarsRefused: number
}

export interface Engine {
  readonly info: EngineInfo
  readonly text: EngineText
  /**
   * Batches of events, in order, on the event loop. Set once, before the first plan; what happened before is told then,
   * after the setter has returned.
   */
  onEvents: (events: readonly EngineEvent[]) => void
  addSequence(spec: SequenceSpec): void
  /** Forgets a sequence. Only after the reply of the last step that names it. */
  dropSequence(sequence: number): void
  /** Takes a plan and returns at once. Throws on a third unanswered plan. */
  submit(plan: StepPlan): void
  /** Takes transfers and returns at once. Loads run in the order given. */
  transfer(transfers: readonly Transfer[]): void
  /**
   * Asks for the memory, or the room on disk, of the first `slots` of a tier and returns at once. `TierCommitted` events tell of it, until all
   * are there or one tells why not. No event comes where as many are there already.
   */
  grow(tier: SlotTierName, slots: number): void
  stats(): EngineStats
  /** Waits for the work in flight and releases everything. May be called twice. */
  close(): Promise<void>
}
