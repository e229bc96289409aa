// The playground's conversations, and the one answer that may be under way.

import { computed, onScopeDispose, reactive, shallowRef, type ComputedRef, type ShallowRef } from 'vue'
import type { HttpClient } from '../../http/client.js'
import { messageOf } from '../../http/failure.js'
import { savedMs } from './context-source.js'
import { streamAnswer } from './stream-answer.js'
import { forkOf, messagesOf, type Answer, type Thread } from './thread.js'

/** Threads kept open; the oldest goes first. */
const MAX_THREADS = 20

export interface PlaygroundSettings {
  system: string
  temperature: number
  maxTokens: number
}

export interface Playground {
  readonly settings: PlaygroundSettings
  readonly threads: Readonly<ShallowRef<readonly Thread[]>>
  readonly current: ComputedRef<Thread>
  /** The thread in which an answer is written, or null. */
  readonly writingIn: Readonly<ShallowRef<number | null>>
  /** Why the last question got no answer, or ''. */
  readonly failure: Readonly<ShallowRef<string>>
  send(question: string): Promise<void>
  stop(): void
  clearFailure(): void
  open(id: number): void
  begin(): void
  /** Goes on elsewhere from entry `last` of the current thread. */
  fork(last: number): void
}

const emptyThread = (id: number): Thread => ({ id, name: `Chat ${id}`, entries: [], conversation: null })
const newAnswer: Answer = { role: 'assistant', text: '', usage: null, firstTextMs: null, savedMs: null, state: 'writing' }

/** @param prefillSpeed Measured tokens a second; null: none yet. */
export function usePlayground(http: HttpClient, prefillSpeed: () => number | null): Playground {
  const settings = reactive<PlaygroundSettings>({ system: '', temperature: 0.7, maxTokens: 400 })
  const threads = shallowRef<readonly Thread[]>([emptyThread(1)])
  const currentId = shallowRef(1)
  const writingIn = shallowRef<number | null>(null)
  const failure = shallowRef('')
  let nextId = 2
  let abort: AbortController | null = null
  const current = computed(() => threads.value.find(({ id }) => id === currentId.value) ?? emptyThread(0))

  const change = (id: number, update: (thread: Thread) => Thread) => {
    threads.value = threads.value.map((thread) => (thread.id === id ? update(thread) : thread))
  }
  const changeAnswer = (id: number, update: Partial<Answer>) =>
    change(id, (thread) => {
      const answer = thread.entries.at(-1)
      if (answer?.role !== 'assistant') return thread
      const conversation = update.usage?.attentionstore.conversation ?? thread.conversation
      return { ...thread, conversation, entries: [...thread.entries.slice(0, -1), { ...answer, ...update }] }
    })
  const add = (thread: Thread) => {
    threads.value = [...threads.value, thread].slice(-MAX_THREADS)
    currentId.value = thread.id
  }

  async function send(question: string): Promise<void> {
    const { id } = current.value
    if (writingIn.value !== null || question.trim() === '') return
    failure.value = ''
    change(id, (thread) => ({ ...thread, entries: [...thread.entries, { role: 'user', text: question }, newAnswer] }))
    const system = settings.system.trim()
    const messages = messagesOf(current.value.entries)
    if (system !== '') messages.unshift({ role: 'system', content: system })
    const { temperature, maxTokens } = settings
    writingIn.value = id
    abort = new AbortController()
    const pieces = new FramePieces((text, firstTextMs) => changeAnswer(id, { text, firstTextMs }))
    try {
      const { usage, isCut } = await streamAnswer(http, { messages, temperature, maxTokens }, abort.signal, (piece) => pieces.add(piece))
      pieces.flush()
      changeAnswer(id, { usage, savedMs: usage && savedMs(usage, prefillSpeed()), state: isCut ? 'cut' : 'whole' })
    } catch (thrown) {
      pieces.flush()
      const isStopped = abort.signal.aborted
      changeAnswer(id, { state: isStopped ? 'stopped' : 'failed' })
      if (!isStopped) failure.value = messageOf(thrown)
    } finally {
      pieces.close()
      writingIn.value = null
    }
  }

  onScopeDispose(() => abort?.abort())
  return {
    settings,
    threads,
    current,
    writingIn,
    failure,
    send,
    stop: () => abort?.abort(),
    clearFailure: () => {
      failure.value = ''
    },
    open: (id) => {
      currentId.value = id
    },
    begin: () => add(emptyThread(nextId++)),
    fork: (last) => add(forkOf(current.value, last, nextId++)),
  }
}

/** Text that grows faster than screens do: told at most once a frame. */
class FramePieces {
  private text = ''
  private firstTextMs: number | null = null
  private frame: number | null = null
  private readonly startedAt = performance.now()

  constructor(private readonly tell: (text: string, firstTextMs: number | null) => void) {}

  add(piece: string): void {
    this.text += piece
    this.firstTextMs ??= performance.now() - this.startedAt
    this.frame ??= requestAnimationFrame(() => this.flush())
  }

  flush(): void {
    this.close()
    this.tell(this.text, this.firstTextMs)
  }

  close(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame)
    this.frame = null
  }
}
