// A benchmark, as the runner sees it.

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: ReadonlyArray<readonly string[]>
}

/** One figure with its spread; all in the plot's unit. */
export interface Bar {
  readonly label: string
  readonly value: number
  readonly low: number
  readonly high: number
  /** The limit that it is held against. */
  readonly limit: number | null
}

/** Figures of one kind beside each other. */
export interface Plot {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

export interface Report {
  readonly tables: readonly Table[]
  readonly plots: readonly Plot[]
  /** Sentences: what was met, what was not. */
  readonly notes: readonly string[]
  /** Every figure, for those who compute with it. */
  readonly data: unknown
}

/** The limits of this machine, as far as they were measured. */
export interface MachinePeaks {
  /** f32 fused multiply-adds in registers on all threads, GFLOP/s. */
  readonly f32_gflops: number
  /** Sequential memory reads on all threads, GB/s. */
  readonly read_gbps: number
}

export interface BenchContext {
  /** A short run: fewer repetitions, for a look. */
  readonly quick: boolean
  /** It is the only one of this run, so it need not share six minutes with others. */
  readonly alone: boolean
  /** Threads that compute, on every side of a comparison. */
  readonly threads: number
  /** The default model's GGUF file. */
  readonly modelPath: string
  /** Measured once a run. */
  peaks(): Promise<MachinePeaks>
  progress(text: string): void
}

export interface Bench {
  readonly name: string
  /** One line for the list. */
  readonly about: string
  /** It takes minutes of its own, so it runs by its name only: all others share six. */
  readonly isLong?: true
  run(context: BenchContext): Promise<Report>
}
