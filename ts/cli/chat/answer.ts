// One answer, shown as it comes, and the line of times behind it.

import { systemClock } from '../../engine/clock.js'
import type { ChatChunk, Usage } from '../../protocol/index.js'
import { postStream } from '../client.js'
import type { Terminal } from '../terminal.js'
import { Spinner } from './spinner.js'

export interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface AnswerRequest {
  readonly url: string
  readonly apiKey: string | null
  readonly messages: readonly Message[]
  /** Of the request, besides its messages. */
  readonly fields: Readonly<Record<string, number | string>>
  /** Ends the answer; what has come of it stays. */
  readonly signal: AbortSignal
}

/**
 * Shows the answer and its times.
 * @returns its text, as far as it came.
 * @throws RequestFailed as `postStream`.
 */
export async function showAnswer({ url, apiKey, messages, fields, signal }: AnswerRequest, terminal: Terminal): Promise<string> {
  const body = { messages, ...fields, stream: true, stream_options: { include_usage: true } }
  const sentAt = performance.now()
  const spinner = new Spinner(terminal, systemClock)
  let firstAt: number | null = null
  let text = ''
  let usage: Usage | null = null
  let isCut = false
  try {
    for await (const { value, at } of postStream(`${url}/v1/chat/completions`, body, { apiKey, signal })) {
      const chunk = value as ChatChunk
      usage = chunk.usage ?? usage
      const [choice] = chunk.choices
      isCut ||= choice?.finish_reason === 'length'
      const piece = choice?.delta.content ?? ''
      if (piece === '') continue
      firstAt ??= at
      spinner.stop()
      text += piece
      terminal.out(piece)
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown
  } finally {
    spinner.stop()
  }
  terminal.out(`\n${timesOf(usage, firstAt === null ? null : firstAt - sentAt, signal.aborted)}\n`)
  if (isCut) terminal.out(`[the answer has reached its bound of ${fields['max_tokens']} tokens, or that of the context; --max-tokens sets it]\n`)
  return text
}

/** e.g. `[first token after 41 ms; prompt 812 tokens: 768 hbm, 44 computed; answer 25 tokens]` */
function timesOf(usage: Usage | null, firstTokenMs: number | null, isStopped: boolean): string {
  const parts = [
    ...(isStopped ? ['stopped'] : []),
    ...(firstTokenMs === null ? ['no token'] : [`first token after ${firstTokenMs.toFixed(0)} ms`]),
    ...(usage === null ? [] : [`prompt ${usage.prompt_tokens} tokens: ${sources(usage)}`, `answer ${usage.completion_tokens} tokens`]),
  ]
  return `[${parts.join('; ')}]`
}

function sources(usage: Usage): string {
  // Other servers say at most how many tokens were cached.
  const own = usage.attentionstore as Usage['attentionstore'] | undefined
  if (own === undefined) return `${usage.prompt_tokens_details?.cached_tokens ?? 0} cached`
  const parts = { ...own.reused_tokens, computed: own.computed_tokens, 'outside the view': own.outside_view_tokens }
  const named = Object.entries(parts).filter(([, tokens]) => tokens > 0)
  return named.map(([source, tokens]) => `${tokens} ${source}`).join(', ')
}
