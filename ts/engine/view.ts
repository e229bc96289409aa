// Which tokens a token sees: a pure function of its index, so that a resent history, a fork, a restart and a preempted
// request agree (arXiv 2403.19708, section 3.4). `crates/engine/src/view.rs` is the same formula.

import { BLOCK_TOKENS, type ViewParameters } from './types.js'

/** Shortest window that can be truncated, in tokens. */
export const MIN_WINDOW = 256

/**
 * The view of one conversation. `window` ≥ MIN_WINDOW and 0 < `ratio` ≤ 1 are the server's; the head keeps the system
 * prompt, but never nothing, because the first tokens are what attention falls back on.
 */
export function viewParameters(window: number, ratio: number, systemTokens: number): ViewParameters {
  const whole = wholeBlocks(window)
  const head = clamp(Math.ceil(systemTokens / BLOCK_TOKENS) * BLOCK_TOKENS, BLOCK_TOKENS, wholeBlocks(whole / 4))
  const step = clamp(wholeBlocks(ratio * (whole - head)), BLOCK_TOKENS, whole - head)
  return { window: whole, head, step }
}

/** 0 within the window; one more after every `step` tokens. null: there is no truncation. */
export function epochOf(view: ViewParameters | null, token: number): number {
  return view === null || token < view.window ? 0 : 1 + Math.floor((token - view.window) / view.step)
}

/** Tokens between the head and the rest of what `token` sees: its position in the view is so much less. */
export function leftOut(view: ViewParameters | null, token: number): number {
  return view === null ? 0 : epochOf(view, token) * view.step
}

/** The first token after `token` that sees less of what came before; Infinity: there is none. */
export function nextEdge(view: ViewParameters | null, token: number): number {
  return view === null ? Infinity : view.window + epochOf(view, token) * view.step
}

/** Indices of the blocks below `end` that `token` sees, in order. */
export function viewBlocks(view: ViewParameters | null, token: number, end: number): number[] {
  const { from, to } = hiddenBlocks(view, token)
  const blocks: number[] = []
  for (let index = 0; index < end; index++) if (index < from || index >= to) blocks.push(index)
  return blocks
}

/** Blocks [from, to) between the head and the rest of what `token` sees. */
export function hiddenBlocks(view: ViewParameters | null, token: number): { readonly from: number; readonly to: number } {
  if (view === null) return { from: 0, to: 0 }
  const from = view.head / BLOCK_TOKENS
  return { from, to: from + leftOut(view, token) / BLOCK_TOKENS }
}

/** What goes into the key of block `index`: nothing before the window's end, where no view hides anything. */
export function keyedView(view: ViewParameters | null, index: number): ViewParameters | null {
  return view !== null && index * BLOCK_TOKENS >= view.window ? view : null
}

function wholeBlocks(tokens: number): number {
  return Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
