// An end with calls for the scripted service, and readers of named events.

import Anthropic from '@anthropic-ai/sdk'
import type { TurnEvent } from '../../../ts/service/types.js'
import { done } from './fake-service.js'

export function doneWithCalls(): TurnEvent {
  return done({ finish: 'tool_calls' })
}

export interface NamedEvent<T> {
  readonly name: string
  readonly data: T
}

/** Events of a stream with their names; `[DONE]` is left out. */
export function namedEvents<T>(text: string): NamedEvent<T>[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const [name = '', data = ''] = block.split('\n')
      return { name: name.slice('event: '.length), data: JSON.parse(data.slice('data: '.length)) as T }
    })
}

export function anthropicClient(url: string, apiKey = 'none'): Anthropic {
  return new Anthropic({ baseURL: url, apiKey, maxRetries: 0 })
}
