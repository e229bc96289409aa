// The scripted servers as the tests of clients see them; run.ts starts them and says where they are.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import type { ScriptedFamily } from './scripted/server.js'

export interface Family extends ScriptedFamily {
  /** Its model's name too. */
  readonly name: string
}

const told = JSON.parse(process.env['CLIENTS_FAMILIES'] ?? '{}') as Readonly<Record<string, ScriptedFamily>>

export const FAMILIES: readonly Family[] = Object.entries(told).map(([name, family]) => ({ name, ...family }))

/** The first one: for what does not depend on the family. */
export const FAMILY = FAMILIES[0] as Family

export function openai({ url, key }: Family, apiKey = key): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
}

export function anthropic({ url, key }: Family, apiKey = key): Anthropic {
  return new Anthropic({ baseURL: url, apiKey, maxRetries: 0 })
}

export const HELLO = 'Hello from the model: naïve, 東京, 🏳️‍🌈.'
export const OSLO = { city: 'Oslo', days: 2 }
export const BERGEN = { city: 'Bergen', days: 1, hours: [6, 12.5], why: 'a "walk"' }
export const ADA = { name: 'Ada', age: 36 }
export const THOUGHT = 'Let me think.\nTwo and two are four.'

export const WEATHER = {
  type: 'object',
  properties: {
    city: { type: 'string', description: 'Name of the city' },
    days: { type: 'integer' },
    hours: { type: 'array', items: { type: 'number' } },
    why: { type: 'string' },
  },
  required: ['city', 'days'],
  additionalProperties: false,
}

export const PERSON = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
}
