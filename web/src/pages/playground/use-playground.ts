// The playground: its chats, and the one answer that may be under way.

import type { ChatRequest, ModelRow } from 'attentionstore/protocol'
import { computed, onScopeDispose, shallowRef, type ComputedRef, type ShallowRef } from 'vue'
import type { HttpClient } from '../../http/client.js'
import { messageOf } from '../../http/failure.js'
import { AnswerParts } from './answer/answer-parts.js'
import { onceAFrame } from './answer/once-a-frame.js'
import { streamAnswer } from './answer/stream-answer.js'
import { NEW_ANSWER, pathOf, withAnswer, withBranch, withEntry, withoutAnswer, type Chat, type Entry } from './chats/chat.js'
import { messagesOf } from './chats/messages.js'
import type { Chats } from './chats/use-chats.js'
import { savedMs } from './messages/context-source.js'
import { canGoOn } from './messages/end-of-answer.js'
import { requestFields, type ChatSettings } from './settings/chat-settings.js'
import { defaultsOf } from './settings/model-defaults.js'

export interface Playground {
  /** The branch of the current chat that is shown. */
  readonly path: ComputedRef<readonly Entry[]>
  /** The chat in which an answer is written; null: none is. */
  readonly writingIn: Readonly<ShallowRef<string | null>>
  send(question: string): Promise<void>
  /** Another answer in the place of answer `id`, which stays beside it. */
  regenerate(id: number): Promise<void>
  /** Goes on with answer `id`, the last of the branch, where it left off. */
  goOn(id: number): Promise<void>
  /** Another question in the place of question `id`, which stays beside it. */
  resend(id: number, question: string): Promise<void>
  /** The results of the calls of the last answer, by the id of the call. */
  giveResults(results: ReadonlyMap<string, string>): Promise<void>
  /** Ends the answer under way; its text so far stays. */
  stop(): void
  /** Shows the branch through entry `id`. */
  show(id: number): void
  configure(settings: ChatSettings): void
  remove(chat: string): void
  removeAll(): void
}

export interface PlaygroundOptions {
  readonly http: HttpClient
  readonly chats: Chats
  /** Measured tokens a second; null: none yet. */
  readonly prefillSpeed: () => number | null
  /** null: the server has not said yet. */
  readonly model: () => ModelRow | null
  /** Milliseconds of the wall clock. */
  readonly now: () => number
}

export function usePlayground({ http, chats, prefillSpeed, model, now }: PlaygroundOptions): Playground {
  const writingIn = shallowRef<string | null>(null)
  let abort: AbortController | null = null
  const path = computed(() => pathOf(chats.current.value))

  /** Has the end of the current branch answered. */
  async function answer(): Promise<void> {
    const { id: chat, settings } = chats.current.value
    const messages = messagesOf(path.value, settings.system)
    chats.change(chat, (before) => withEntry(before, before.tip, NEW_ANSWER, now()))
    await write(chats.current.value.tip ?? 0, { messages }, new AnswerParts(performance.now()))
  }

  /** Writes answer `id` of the current chat, which `asked` asks for and whose text so far is in `parts`. */
  async function write(id: number, asked: Pick<ChatRequest, 'messages'> & Partial<ChatRequest>, parts: AnswerParts): Promise<void> {
    const { id: chat, settings } = chats.current.value
    const change = (update: Parameters<typeof withAnswer>[2], when: 'now' | 'soon') =>
      chats.change(chat, (before) => withAnswer(before, id, update), when)
    const teller = onceAFrame(() => change(parts.parts, 'soon'))
    const end = () => {
      parts.end(performance.now())
      teller.mark()
      teller.close()
    }
    const { signal } = (abort = new AbortController())
    writingIn.value = chat
    try {
      const request = { ...requestFields(settings, defaultsOf(model()).sent), ...asked }
      const { usage, finish } = await streamAnswer(http, request, signal, (delta) => {
        if (parts.add(delta, performance.now())) teller.mark()
      })
      end()
      const tokensPerS = usage && parts.tokensPerS(usage.completion_tokens, performance.now())
      change({ usage, finish, tokensPerS, savedMs: usage && savedMs(usage, prefillSpeed()), state: 'ended' }, 'now')
    } catch (thrown) {
      end()
      change(signal.aborted ? { state: 'stopped' } : { state: 'failed', failure: messageOf(thrown) }, 'now')
    } finally {
      writingIn.value = null
    }
  }

  const current = (update: (chat: Chat) => Chat) => chats.change(chats.current.value.id, update)
  const isFree = () => writingIn.value === null

  onScopeDispose(() => abort?.abort())
  return {
    path,
    writingIn,
    async send(question) {
      if (!isFree() || question.trim() === '') return
      current((chat) => withEntry(chat, chat.tip, { role: 'user', text: question }, now()))
      await answer()
    },
    async regenerate(id) {
      const entry = chats.current.value.entries[id]
      if (!isFree() || entry?.role !== 'assistant') return
      current((chat) => withoutAnswer(chat, id))
      await answer()
    },
    async goOn(id) {
      const { id: chat, settings, entries, tip } = chats.current.value
      const entry = entries[id]
      if (!isFree() || id !== tip || entry?.role !== 'assistant' || !canGoOn(entry)) return
      const messages = messagesOf(path.value, settings.system)
      chats.change(chat, (before) => withAnswer(before, id, { state: 'writing', finish: null, failure: '' }))
      const asked = { messages, add_generation_prompt: false, continue_final_message: true }
      await write(id, asked, new AnswerParts(performance.now(), entry))
    },
    async resend(id, question) {
      const entry = chats.current.value.entries[id]
      if (!isFree() || entry?.role !== 'user' || question.trim() === '') return
      current((chat) => withEntry(chat, entry.parent, { role: 'user', text: question }, now()))
      await answer()
    },
    async giveResults(results) {
      const last = path.value.at(-1)
      if (!isFree() || last?.role !== 'assistant') return
      for (const { id, name } of last.calls) {
        current((chat) => withEntry(chat, chat.tip, { role: 'tool', callId: id, name, text: results.get(id) ?? '' }, now()))
      }
      await answer()
    },
    stop: () => abort?.abort(),
    show: (id) => {
      if (isFree()) current((chat) => withBranch(chat, id))
    },
    configure: (settings) => current((chat) => ({ ...chat, settings })),
    remove(chat) {
      if (writingIn.value === chat) abort?.abort()
      chats.remove(chat)
    },
    removeAll() {
      abort?.abort()
      chats.removeAll()
    },
  }
}
