// The result of computing everything: an engine with hbm alone on the tests' device, which is told the text and asked about
// each of its tokens.

import { EngineDriver, generate, slotsFrom, tablesOf } from '../contracts/driver.js'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import { defaultBatchTokens } from '../../ts/device-choice.js'
import type { EngineText } from '../../ts/engine/types.js'
import { DEVICE, KERNELS } from './device.js'
import { greedy } from './sampling.js'

/** Holds 5,000 tokens of the default model. */
const HBM_BYTES = 2 ** 27

export type Model = { readonly modelPath: string } | { readonly randomWeights: string }

export class Computed {
  readonly #driver: EngineDriver

  private constructor(driver: EngineDriver) {
    this.#driver = driver
  }

  static async open(model: Model): Promise<Computed> {
    const engine = await createNativeEngine({
      ...model,
      device: DEVICE,
      kernelCacheDir: KERNELS,
      threads: 2,
      maxBatchTokens: defaultBatchTokens(DEVICE),
      hbmBytes: HBM_BYTES,
      dramBytes: 0,
      ssdBytes: 0,
      kvDtype: 'bf16',
    })
    return new Computed(new EngineDriver(engine))
  }

  get text(): EngineText {
    return this.#driver.engine.text
  }

  get vocabulary(): number {
    return this.#driver.engine.info.vocabSize
  }

  /**
   * Log probabilities of all tokens in the place of each token from `first` on, given those before it. They come one after
   * another: those of a hundred answers are gigabytes.
   */
  async *logprobs(tokens: Uint32Array, first: number): AsyncGenerator<Float32Array> {
    for (let end = first; end < tokens.length; end++) yield await this.#row(tokens.slice(0, end), end === first ? 0 : end - 1)
  }

  /** A sequence of its own for each row: it is the text that says what comes next, not the model. */
  async #row(tokens: Uint32Array, computed: number): Promise<Float32Array> {
    const spec = this.#driver.add(tokens, { sampling: { ...greedy, logprobs: this.vocabulary } })
    const tables = tablesOf(spec.sequence, slotsFrom(0, tokens.length))
    const { rows } = await generate(this.#driver, spec, 1, { computed, tables })
    this.#driver.engine.dropSequence(spec.sequence)
    const row = new Float32Array(this.vocabulary).fill(Number.NaN)
    for (const [token, logprob] of rows.at(-1)?.logprob?.top ?? []) row[token] = logprob
    return row
  }

  close(): Promise<void> {
    return this.#driver.engine.close()
  }
}
