// What a benchmark is, to the runner.

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: ReadonlyArray<readonly string[]>
}

export interface Report {
  readonly tables: readonly Table[]
  /** Sentences: what was met, what was not. */
  readonly notes: readonly string[]
  /** Every figure, for those who compute with it. */
  readonly data: unknown
}

export interface BenchContext {
  /** A short run: fewer repetitions, for a look. */
  readonly quick: boolean
  /** Threads that compute, on every side of a comparison. */
  readonly threads: number
  /** The default model's GGUF file. */
  readonly modelPath: string
  progress(text: string): void
}

export interface Bench {
  readonly name: string
  /** One line for the list. */
  readonly about: string
  run(context: BenchContext): Promise<Report>
}
