import type { z } from 'zod'
import type { EngineInfo } from '../../../engine/types.js'
import type { TurnRequest } from '../../../service/types.js'
import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel, inVocabulary, wellFormed } from '../../turn-fields.js'
import { readAnswer, startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { answersEach } from '../answers.js'
import { completionFields } from '../fields/tables.js'
import { completionBody, completionChunks } from '../format/completions.js'
import { responseHead } from '../format/head.js'
import { CompletionRequest } from '../schemas/completions.js'
import { turnRequest } from '../turn-request.js'

/** As OpenAI's: completions without `max_tokens` are short. */
const DEFAULT_MAX_TOKENS = 16

/** POST /v1/completions */
export const completions: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation, signal }, context) => {
  checkLengths(body, context.service.modelContext)
  const ignored = completionFields.check(body, context.strictFields)
  const fields = validate(CompletionRequest, body)
  const model = checkModel(fields.model, context.models)
  const { info, text } = context.engine
  const prompts = promptsOf(fields.prompt, info)
  const choices = answersEach(fields, prompts.length)
  const requests = prompts.map((prompt) =>
    turnRequest(fields, info, {
      requestId,
      tenant: caller.tenant,
      conversation,
      prompt,
      maxTokens: fields.max_tokens ?? DEFAULT_MAX_TOKENS,
      logprobs: fields.logprobs ?? null,
    }),
  )
  const turns = await startTurns(requests, signal, context, choices)
  const head = responseHead('cmpl', model, context)
  const headers = { 'x-conversation-id': turns[0]?.conversation ?? '', ...ignoredFieldsHeader(ignored) }
  const form = { logprobs: typeof fields.logprobs === 'number', choices }
  if (!fields.stream) {
    const answers = await Promise.all(turns.map(readAnswer))
    return json(completionBody(head, answers, form, text), headers)
  }
  const includeUsage = fields.stream_options?.include_usage ?? false
  return { kind: 'stream', headers, events: completionChunks(head, turns, { ...form, includeUsage }, text) }
}

type Prompt = z.output<typeof CompletionRequest>['prompt']

/** A text, texts, tokens, or lists of tokens: one prompt each. */
function promptsOf(prompt: Prompt, info: EngineInfo): TurnRequest['prompt'][] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: wellFormed(prompt) }]
  if (prompt.every((part) => typeof part === 'number')) return [tokenPrompt(prompt, info)]
  return prompt.map((part) => {
    if (typeof part === 'string') return { kind: 'text', text: wellFormed(part) } as const
    return tokenPrompt(typeof part === 'number' ? [part] : part, info)
  })
}

function tokenPrompt(tokens: readonly number[], info: EngineInfo): TurnRequest['prompt'] {
  return { kind: 'tokens', tokens: Uint32Array.from(inVocabulary(tokens, info, 'prompt')) }
}
