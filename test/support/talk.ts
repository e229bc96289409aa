// A conversation with a simulated service, turn by turn, and what an operator sees of it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiError } from '../../ts/protocol/errors.js'
import type { ConversationInfo, InferenceService, TurnMessage, TurnRequest, TurnUsage } from '../../ts/service/types.js'
import { ask, chat } from './simulated-service.js'

export const user = (content: string): TurnMessage => ({ role: 'user', content })
export const SYSTEM: TurnMessage = { role: 'system', content: 'You answer at length, and with care. '.repeat(8) }

/** One conversation with a tenant and an id of its own, turn by turn. */
export class Talk {
  readonly messages: TurnMessage[]

  constructor(
    readonly id: string,
    readonly tenant = '',
    system: TurnMessage | null = null,
  ) {
    this.messages = system ? [system] : []
  }

  request(rest: Partial<TurnRequest> = {}): TurnRequest {
    return chat(this.messages, { conversation: this.id, tenant: this.tenant, maxTokens: 40, ignoreEos: true, ...rest })
  }

  async turn(service: InferenceService, text = `${this.id} asks: `.repeat(20)): Promise<TurnUsage> {
    this.messages.push(user(text))
    const { text: answer, usage } = await ask(service, this.request())
    this.messages.push({ role: 'assistant', content: answer })
    return usage
  }
}

export function rowOf(service: InferenceService, id: string, tenant: string | null = null): ConversationInfo | undefined {
  return service.conversations.list({ tenant, text: id, before: null, limit: 10 }).rows.find(row => row.id === id)
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'ok'
  } catch (thrown) {
    return thrown instanceof ApiError ? thrown.code : String(thrown)
  }
}

/** A data directory that goes with the test. */
export function temporaryStore(t: { teardown(close: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** By the fastest tier: hbm, dram, ssd. */
export const blocksIn = ({ tiers: { hbm, dram, ssd } }: ConversationInfo) => [hbm.blocks, dram.blocks, ssd.blocks]
