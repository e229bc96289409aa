// Hardware as data: what a simulated engine's steps and transfers cost.

export interface HardwareProfile {
  readonly name: string
  readonly device: string
  readonly layers: number
  /** Bytes of KV a token, all layers. */
  readonly kvBytesPerToken: number
  readonly modelContext: number
  /** Milliseconds of a step: `base + rows · perRow + history tokens · perHistoryToken`. */
  readonly stepBaseMs: number
  readonly stepPerRowMs: number
  readonly stepPerHistoryTokenMs: number
  /** Bytes a millisecond of each stream. */
  readonly loadRate: number
  readonly saveRate: number
  readonly readRate: number
  readonly writeRate: number
  /** Milliseconds before the first byte of a disk access, and of a flush. */
  readonly diskLatencyMs: number
  readonly flushMs: number
}
