// Custom tools take a text. To the model they are functions with one argument.

import type { ToolDefinition } from '../../service/types.js'

const ARGUMENT = 'input'

export const CUSTOM_PARAMETERS: NonNullable<ToolDefinition['parameters']> = {
  type: 'object',
  properties: { [ARGUMENT]: { type: 'string' } },
  required: [ARGUMENT],
  additionalProperties: false,
}

/** The JSON text of the arguments that stand for this input. */
export function customArguments(input: string): string {
  return JSON.stringify({ [ARGUMENT]: input })
}

/** The input that a call's arguments stand for; arguments of another form are the input themselves. */
export function customInput(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, ARGUMENT)) {
      const input: unknown = (value as Record<string, unknown>)[ARGUMENT]
      if (typeof input === 'string') return input
    }
  } catch {
    // The answer was cut off, or the model wrote no JSON.
  }
  return text
}
