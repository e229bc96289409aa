// Who is compared: the same tokens, the same threads, one run at a time.

/** Something that computes prompts and answers. Times are milliseconds. */
export interface Subject {
  readonly name: string
  /** Computes a prompt from nothing, up to the first sampled token. */
  prefill(tokens: readonly number[]): Promise<number>
  /** Greedy answer of `count` tokens after the prompt; the time of one token after the first. */
  decode(tokens: readonly number[], count: number): Promise<number>
  close(): Promise<void>
}
