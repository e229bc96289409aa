// Which engine serves: the model on this machine's CPU, or the simulated one.

import { lockDataDir } from './config/data-dir-lock.js'
import type { TierBytes } from './config/machine.js'
import { findModel, findShape } from './config/model.js'
import type { ServeOptions } from './config/options.js'
import { invalidOption } from './config/units.js'
import { createNativeEngine, describeRandomWeights, detectCuda, type NativeEngineOptions } from './engine/native/index.js'
import { SimulatedEngine } from './engine/simulated/engine.js'
import { cpu2 } from './engine/simulated/profiles/cpu-2.js'
import type { Engine } from './engine/types.js'

export interface EnginePlaces {
  readonly options: ServeOptions
  readonly dataDir: string
  readonly ssdDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Tier sizes beside weights of so many bytes. */
  readonly fit: (weightBytes: number) => Promise<TierBytes>
}

/** Who is told of what takes time. */
export interface OpenListeners {
  readonly onNotice?: (sentence: string) => void
  readonly onProgress?: (share: number) => void
}

export interface OpenedEngine {
  readonly engine: Engine
  readonly tiers: TierBytes
  close(): Promise<void>
}

/** Dram slots that remain for staging when the dram tier is off and there is an ssd tier; the native engine's number. */
const STAGING_SLOTS = 64

export function openEngine(places: EnginePlaces, listeners: OpenListeners): Promise<OpenedEngine> {
  return places.options.device === 'simulated' ? openSimulated(places) : openNative(places, listeners)
}

async function openNative(places: EnginePlaces, { onNotice, onProgress }: OpenListeners): Promise<OpenedEngine> {
  const model = await chooseModel(places, onNotice ?? (() => {}))
  const tiers = await places.fit(model.weightBytes)
  onNotice?.(deviceNotice(detectCuda()))
  let isOpen = false
  const engine = await createNativeEngine(nativeOptions(places, model.source, tiers), (share) => {
    // Progress comes from another thread, the last of it after the engine is there.
    if (!isOpen) onProgress?.(share)
  })
  isOpen = true
  onProgress?.(1)
  return { engine, tiers, close: () => engine.close() }
}

interface ModelChoice {
  readonly source: Pick<NativeEngineOptions, 'modelPath' | 'randomWeights'>
  /** Bytes of memory that its weights take. */
  readonly weightBytes: number
}

async function chooseModel({ options, env }: EnginePlaces, onNotice: (sentence: string) => void): Promise<ModelChoice> {
  if (options.randomWeights !== null) {
    const randomWeights = findShape(options.randomWeights, env)
    return { source: { randomWeights }, weightBytes: describeRandomWeights(randomWeights).memoryBytes }
  }
  const { path, weightBytes } = await findModel(options.model, env, onNotice)
  return { source: { modelPath: path }, weightBytes }
}

/** GPUs are looked for, so that nobody wonders why theirs is idle. */
function deviceNotice({ devices, reason }: ReturnType<typeof detectCuda>): string {
  const names = devices.map(({ name }) => name).join(', ')
  return names === '' ? `computing on the CPU: ${reason ?? 'no GPU was found'}` : `computing on the CPU; this version does not use ${names}`
}

function nativeOptions({ options, dataDir, ssdDir }: EnginePlaces, source: ModelChoice['source'], tiers: TierBytes): NativeEngineOptions {
  const { threads, maxBatchTokens, noReuse, ssdReadLimit, ssdWriteLimit, preloadLayers } = options
  return {
    ...source,
    threads,
    maxBatchTokens,
    kvDtype: 'bf16',
    ...tiers,
    // Without reuse no file is opened.
    ...(noReuse ? {} : { dataDir }),
    ...(tiers.ssdBytes > 0 ? { ssdDir } : {}),
    ...(ssdReadLimit === null ? {} : { ssdReadLimit }),
    ...(ssdWriteLimit === null ? {} : { ssdWriteLimit }),
    ...(preloadLayers === null ? {} : { preloadLayers }),
  }
}

/** A server on the wall clock whose steps and transfers cost what the profile says. Its disk tier is in memory. */
async function openSimulated({ options, dataDir, fit }: EnginePlaces): Promise<OpenedEngine> {
  const tiers = await fit(0)
  const lock = options.noReuse ? null : await lockDataDir(dataDir)
  const engine = new SimulatedEngine({
    profile: limitedProfile(options),
    slots: simulatedSlots(tiers),
    dramStagingOnly: isStagingOnly(tiers),
    maxBatchTokens: options.maxBatchTokens,
  })
  return {
    engine,
    tiers,
    async close() {
      await engine.close()
      await lock?.release()
    },
  }
}

/** `--ssd-read-limit` and `--ssd-write-limit` slow the simulated disk; profiles count bytes a millisecond. */
function limitedProfile({ ssdReadLimit, ssdWriteLimit }: ServeOptions): typeof cpu2 {
  return {
    ...cpu2,
    readRate: Math.min(cpu2.readRate, (ssdReadLimit ?? Number.POSITIVE_INFINITY) / 1000),
    writeRate: Math.min(cpu2.writeRate, (ssdWriteLimit ?? Number.POSITIVE_INFINITY) / 1000),
  }
}

function isStagingOnly({ dramBytes, ssdBytes }: TierBytes): boolean {
  return dramBytes === 0 && ssdBytes > 0
}

function simulatedSlots(tiers: TierBytes): Record<'hbm' | 'dram' | 'ssd', number> {
  // What a block takes is the engine's to say; one that is never started can be asked.
  const { blockBytes, hostSlotBytes } = new SimulatedEngine({ profile: cpu2 }).info
  const slots = (option: string, bytes: number, slotBytes: number): number => {
    if (bytes > 0 && bytes < slotBytes) throw invalidOption(option, `${bytes} bytes hold no block of ${slotBytes} bytes`)
    return Math.floor(bytes / slotBytes)
  }
  return {
    hbm: slots('--hbm-bytes', tiers.hbmBytes, blockBytes),
    dram: isStagingOnly(tiers) ? STAGING_SLOTS : slots('--dram-bytes', tiers.dramBytes, hostSlotBytes),
    ssd: slots('--ssd-bytes', tiers.ssdBytes, hostSlotBytes),
  }
}
