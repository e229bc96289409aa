// The addon's surface, as crates/binding exports it. Loaded on the main thread only.

import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { ExitError } from '../../protocol/errors.js'
import type { EngineStats, ViewParameters } from '../types.js'

export interface NativeOpenOptions {
  /** A GGUF file or a Hugging Face directory; left out with `randomWeights`. */
  readonly modelPath?: string
  /** A shape's name, or the absolute path of a directory with a config.json. */
  readonly randomWeights?: string
  /** `cpu`, `cuda` or `cuda:n`. */
  readonly device: string
  readonly kernelCacheDir: string
  readonly threads: number
  readonly maxBatchTokens: number
  /** Bytes as numbers: exact up to 8 PiB. On a GPU 0 is what is left beside weights and working memory. */
  readonly hbmBytes: number
  readonly dramBytes: number
  readonly ssdBytes: number
  readonly ssdDir?: string
  readonly dataDir?: string
  readonly ssdReadLimit?: number
  readonly ssdWriteLimit?: number
  readonly preloadLayers?: number
  readonly kvDtype: 'bf16' | 'f32'
  readonly instructionSet?: string
}

export interface NativeInfo {
  readonly device: string
  readonly modelName: string
  readonly layers: number
  readonly vocabSize: number
  readonly modelContext: number
  readonly cappedBySlidingWindow: boolean
  readonly sliceBytes: number
  readonly blockBytes: number
  readonly hostSlotBytes: number
  readonly hbmSlots: number
  readonly dramSlots: number
  readonly ssdSlots: number
  readonly dramStagingOnly: boolean
  readonly ioEngine: string
  readonly maxBatchTokens: number
  readonly fingerprint: string
  readonly textFingerprint: string
  readonly endTokens: number[]
  readonly temperature?: number
  readonly topP?: number
  readonly topK?: number
  readonly hasChatTemplate: boolean
}

export interface NativeSequence {
  readonly sequence: number
  readonly tokens: Uint32Array
  readonly root: Uint8Array
  readonly view?: ViewParameters
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  readonly logitBiasTokens: Uint32Array
  readonly logitBiasValues: Float32Array
  readonly seed: bigint
  readonly logprobs?: number
  readonly stop: string[]
  readonly stopTokens: number[]
  readonly ignoreEos: boolean
  readonly maxTokens: number
}

export interface NativeMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
  readonly reasoning?: string
  readonly toolCalls?: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: string }>
  readonly toolCallId?: string
  readonly stored?: { readonly tokens: Uint32Array; readonly bytes: number; readonly reasoning: number; readonly whole: boolean }
}

export interface NativeChat {
  readonly messages: readonly NativeMessage[]
  /** `parameters` is JSON text. */
  readonly tools?: ReadonlyArray<{ readonly name: string; readonly description?: string; readonly parameters?: string }>
  /** JSON text of an object. */
  readonly templateArguments?: string
  readonly ending: 'answer' | 'open' | 'closed'
  /** Since 1970, for templates that ask for the date. */
  readonly dateSeconds: number
}

export interface NativePrompt {
  readonly tokens: Uint32Array
  readonly systemTokens: number
  readonly startsInReasoning: boolean
  /** Begin and end by turns. */
  readonly withoutReasoning: number[]
  /** Only of a prompt with more tokens than were asked for: it has at least so many. */
  readonly atLeast?: number
}

export interface BindingEngine {
  info(): NativeInfo
  addSequence(sequence: NativeSequence): void
  dropSequence(sequence: number): void
  submit(words: Uint32Array): void
  transfer(words: Uint32Array): void
  /** Moves packed events into `into`; the length moved, or needed if that is more than `into` holds. */
  takeEvents(into: Uint8Array): number
  stats(): EngineStats
  encodeChat(chat: NativeChat, mostTokens?: number): Promise<NativePrompt>
  encodePrompt(text: string, mostTokens?: number): Promise<NativePrompt>
  tokenize(text: string, addSpecialTokens: boolean, mostTokens?: number): Promise<NativePrompt>
  decode(tokens: Uint32Array): Promise<string>
  tokenBytes(token: number): Uint8Array
  root(tenant: string, cacheSalt: string): Uint8Array
  /** 32 bytes a block. */
  keys(root: Uint8Array, tokens: Uint32Array, view?: ViewParameters): Promise<Uint8Array>
  blockKey(parent: Uint8Array, index: number, tokens: Uint32Array, view?: ViewParameters): Uint8Array
  close(): Promise<void>
}

export interface BindingScorer {
  score(
    tokens: Uint32Array,
    first: number,
    ways: ReadonlyArray<{ readonly view: ViewParameters; readonly truncation: string }>,
  ): Promise<Array<{ readonly nll: Float32Array; readonly best: Uint32Array }>>
}

export interface NativeDevice {
  readonly ordinal: number
  readonly name: string
  readonly memoryBytes: number
}

export interface Addon {
  openEngine(
    options: NativeOpenOptions,
    onProgress: (done: number, total: number) => void,
    onWake: () => void,
  ): Promise<BindingEngine>
  /** What random weights will take; throws for a shape that is not known. */
  describeRandomWeights(shape: string): { readonly memoryBytes: number }
  /** The model alone, for evaluation. */
  openScorer(options: NativeOpenOptions): Promise<BindingScorer>
  /** The CUDA devices, or the sentence that says why there are none. */
  detectCuda(): { readonly devices: NativeDevice[]; readonly reason?: string }
}

const ADDON = new URL('../../native/attentionstore.node', import.meta.url)
const ADDON_FROM_DIST = new URL('../../../native/attentionstore.node', import.meta.url)

/** Loads the addon, which lies in `native/` beside the sources and beside `dist/`. */
export function loadAddon(): Addon {
  const path = [ADDON, ADDON_FROM_DIST].map((url) => fileURLToPath(url)).find((candidate) => existsSync(candidate))
  if (path === undefined) {
    throw new ExitError(3, 'addon_missing', `the native addon is not built: ${fileURLToPath(ADDON_FROM_DIST)} (run make start)`)
  }
  return createRequire(import.meta.url)(path) as Addon
}
