// What a step costs, as a few figures a machine and model.

export interface StepCosts {
  /** Milliseconds of a step by itself: reading the weights. */
  readonly stepBaseMs: number
  /** A row. */
  readonly stepPerRowMs: number
  /** A token that one of its sequences has behind it. */
  readonly stepPerHistoryTokenMs: number
  /** Each of the first `FEW_ROWS` rows, more than the others. @default 0 */
  readonly stepPerFewRowMs?: number
  /** A row and token that it attends to. @default 0 */
  readonly stepPerAttendedMs?: number
}

/** Steps of so few rows, as decoding has them, may take longer a row than those of more. */
export const FEW_ROWS = 16

/** What a step computes. */
export interface StepWork {
  readonly rows: number
  /** Tokens that its sequences have behind them, each sequence counted once. */
  readonly history: number
  /** Tokens that its rows attend to, all rows together. */
  readonly attended: number
}

/** Milliseconds to compute a step, without waiting for loads. */
export function stepMs(costs: StepCosts, { rows, history, attended }: StepWork): number {
  const { stepBaseMs, stepPerRowMs, stepPerHistoryTokenMs, stepPerFewRowMs = 0, stepPerAttendedMs = 0 } = costs
  const ofRows = rows * stepPerRowMs + Math.min(rows, FEW_ROWS) * stepPerFewRowMs
  return stepBaseMs + ofRows + history * stepPerHistoryTokenMs + attended * stepPerAttendedMs
}

/** Tokens that `count` rows behind `from` tokens attend to, themselves included. */
export function attendedBy(from: number, count: number): number {
  return count * (from + (count + 1) / 2)
}
