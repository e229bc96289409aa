// Which engine serves: the model on this machine's GPU or CPU, or the simulated one.

import { lockDataDir } from './config/data-dir-lock.js'
import type { TierBytes } from './config/machine.js'
import { findModel, findShape, type KnownModel } from './config/model.js'
import type { ServeOptions } from './config/options.js'
import { kernelsDirectory } from './config/paths.js'
import { invalidOption } from './config/units.js'
import { chooseDevice, defaultBatchTokens, isDeviceRefusal, isGpu } from './device-choice.js'
import { createNativeEngine, describeRandomWeights, detectCuda, type NativeEngineOptions } from './engine/native/index.js'
import { SimulatedEngine } from './engine/simulated/engine.js'
import { cpu2 } from './engine/simulated/profiles/cpu-2.js'
import type { HardwareProfile } from './engine/simulated/profiles/profile.js'
import { profileNamed } from './engine/simulated/profiles/registry.js'
import { blockSizes } from './engine/simulated/slots.js'
import type { Engine, SlotTierName } from './engine/types.js'
import { perSlotTier, TIERS } from './protocol/tiers.js'

export interface EnginePlaces {
  readonly options: ServeOptions
  readonly dataDir: string
  readonly ssdDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Tier sizes beside weights of so many bytes. */
  readonly fit: (weightBytes: number, onGpu: boolean) => Promise<TierBytes>
}

/** Who is told of what takes time. */
export interface OpenListeners {
  readonly onNotice?: (sentence: string) => void
  readonly onProgress?: (share: number) => void
}

export interface OpenedEngine {
  readonly engine: Engine
  readonly tiers: TierBytes
  /** Facts of the model besides its files. */
  readonly known?: KnownModel | undefined
  close(): Promise<void>
}

/** Dram slots that remain for staging when the dram tier is off and there is an ssd tier; the native engine's number. */
const STAGING_SLOTS = 64

/** How a server comes by its engine. */
export type OpenEngine = (places: EnginePlaces, listeners: OpenListeners) => Promise<OpenedEngine>

export const openEngine: OpenEngine = (places, listeners) => {
  return places.options.device === 'simulated' ? openSimulated(places) : openNative(places, listeners)
}

/** The model on the device that is asked for; with `auto`, on the CPU where a GPU cannot take it, which is said. */
async function openNative(places: EnginePlaces, listeners: OpenListeners): Promise<OpenedEngine> {
  const model = await chooseModel(places, listeners.onNotice ?? (() => {}))
  const { first, fallBack, notice } = chooseDevice(places.options.device, detectCuda())
  if (notice !== null) listeners.onNotice?.(notice)
  try {
    return await openOn(first, model, places, listeners)
  } catch (thrown) {
    if (!fallBack || !isDeviceRefusal(thrown)) throw thrown
    listeners.onNotice?.(`computing on the CPU: ${thrown.message}`)
    return await openOn('cpu', model, places, listeners)
  }
}

async function openOn(device: string, model: ModelChoice, places: EnginePlaces, { onProgress }: OpenListeners): Promise<OpenedEngine> {
  const onGpu = isGpu(device)
  const tiers = await places.fit(model.weightBytes, onGpu)
  let isOpen = false
  const engine = await createNativeEngine(nativeOptions(places, model.source, tiers, device), (share) => {
    // Progress comes from another thread, the last of it after the engine is there.
    if (!isOpen) onProgress?.(share)
  })
  isOpen = true
  onProgress?.(1)
  const { slots, blockBytes } = engine.info
  const actual = onGpu ? { ...tiers, hbmBytes: slots.hbm * blockBytes } : tiers
  return { engine, tiers: actual, known: model.known, close: () => engine.close() }
}

interface ModelChoice {
  readonly source: Pick<NativeEngineOptions, 'modelPath' | 'randomWeights'>
  /** Bytes of memory that its weights take. */
  readonly weightBytes: number
  readonly known?: KnownModel | undefined
}

async function chooseModel({ options, env }: EnginePlaces, onNotice: (sentence: string) => void): Promise<ModelChoice> {
  if (options.randomWeights !== null) {
    const randomWeights = findShape(options.randomWeights, env)
    return { source: { randomWeights }, weightBytes: describeRandomWeights(randomWeights).memoryBytes }
  }
  const { path, weightBytes, known } = await findModel(options.model, env, onNotice)
  return { source: { modelPath: path }, weightBytes, known }
}

function nativeOptions(
  { options, dataDir, ssdDir, env }: EnginePlaces,
  source: ModelChoice['source'],
  tiers: TierBytes,
  device: string,
): NativeEngineOptions {
  const { threads, maxBatchTokens, noReuse, ssdReadLimit, ssdWriteLimit, preloadLayers, verifyLoads } = options
  return {
    ...source,
    device,
    kernelCacheDir: kernelsDirectory(env),
    threads,
    maxBatchTokens: maxBatchTokens ?? defaultBatchTokens(device),
    kvDtype: 'bf16',
    ...tiers,
    // Without reuse no file is opened.
    ...(noReuse ? {} : { dataDir }),
    ...(tiers.ssdBytes > 0 ? { ssdDir } : {}),
    ...(ssdReadLimit === null ? {} : { ssdReadLimit }),
    ...(ssdWriteLimit === null ? {} : { ssdWriteLimit }),
    ...(preloadLayers === null ? {} : { preloadLayers }),
    ...(verifyLoads === null ? {} : { loadChecks: verifyLoads }),
  }
}

/** A server on the wall clock whose steps and transfers cost what the profile says. Its disk tier is in memory. */
async function openSimulated({ options, dataDir, fit }: EnginePlaces): Promise<OpenedEngine> {
  const tiers = await fit(0, false)
  const lock = options.noReuse ? null : await lockDataDir(dataDir)
  const profile = profileNamed(options.profile ?? cpu2.name) ?? cpu2
  const engine = new SimulatedEngine({
    profile: limited(profile, options),
    slots: simulatedSlots(profile, tiers),
    dramStagingOnly: isStagingOnly(tiers),
    maxBatchTokens: options.maxBatchTokens ?? defaultBatchTokens('cpu'),
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
function limited(profile: HardwareProfile, { ssdReadLimit, ssdWriteLimit }: ServeOptions): HardwareProfile {
  return {
    ...profile,
    readRate: Math.min(profile.readRate, (ssdReadLimit ?? Number.POSITIVE_INFINITY) / 1000),
    writeRate: Math.min(profile.writeRate, (ssdWriteLimit ?? Number.POSITIVE_INFINITY) / 1000),
  }
}

function isStagingOnly({ dramBytes, ssdBytes }: TierBytes): boolean {
  return dramBytes === 0 && ssdBytes > 0
}

function simulatedSlots(profile: HardwareProfile, tiers: TierBytes): Record<SlotTierName, number> {
  const sizes = blockSizes(profile)
  return perSlotTier((tier) => {
    if (tier === 'dram' && isStagingOnly(tiers)) return STAGING_SLOTS
    const bytes = tiers[`${tier}Bytes`]
    const slotBytes = sizes[TIERS[tier].blockBytes]
    if (bytes > 0 && bytes < slotBytes) throw invalidOption(`--${tier}-bytes`, `${bytes} bytes hold no block of ${slotBytes} bytes`)
    return Math.floor(bytes / slotBytes)
  })
}
