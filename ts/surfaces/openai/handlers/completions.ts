import type { z } from 'zod'
import type { EngineInfo } from '../../../engine/types.js'
import { ApiError } from '../../../protocol/errors.js'
import type { TextSpecials, TurnRequest } from '../../../service/types.js'
import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel, inVocabulary, wellFormed } from '../../turn-fields.js'
import { readAnswer, startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { completionFields } from '../fields/tables.js'
import { echoed } from '../format/echo.js'
import { completionBody, completionChunks } from '../format/completions.js'
import { responseHead } from '../format/head.js'
import { askedScores, checkScored } from '../prompt-scores.js'
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
  const prompts = promptsOf(fields.prompt, specialsOf(fields), info)
  const maxTokens = fields.max_tokens ?? DEFAULT_MAX_TOKENS
  checkTogether(fields, maxTokens)
  const echoes = fields.echo ? await Promise.all(prompts.map((prompt) => echoed(prompt, maxTokens, text))) : null
  const promptLogprobs = askedScores({ ...fields, echoed: fields.echo ? (fields.logprobs ?? null) : null })
  const requests = prompts.map((prompt, index) =>
    turnRequest(fields, info, {
      requestId: prompts.length === 1 ? requestId : `${requestId}-${index}`,
      tenant: caller.tenant,
      conversation,
      prompt,
      // Of a prompt that is echoed alone the rows are computed as for an answer: its first token comes with them.
      maxTokens: Math.max(1, maxTokens),
      logprobs: fields.logprobs ?? null,
      promptLogprobs,
    }),
  )
  const turns = await startTurns(requests, signal, context)
  checkScored(turns, promptLogprobs)
  const head = responseHead('cmpl', model, context)
  const headers = { 'x-conversation-id': turns[0]?.conversation ?? '', ...ignoredFieldsHeader(ignored) }
  const form = { logprobs: fields.logprobs ?? null, promptLogprobs: fields.prompt_logprobs ?? null, echoes }
  if (!fields.stream) {
    const answers = await Promise.all(turns.map(readAnswer))
    return json(completionBody(head, answers, turns, form, text), headers)
  }
  const includeUsage = fields.stream_options?.include_usage ?? false
  return { kind: 'stream', headers, events: completionChunks(head, turns, { ...form, includeUsage }, text) }
}

/** @throws ApiError for an answer of no tokens, of which there would be nothing to tell, and for a prompt that is told whole and shortened. */
function checkTogether({ echo, truncate_prompt_tokens: kept }: z.output<typeof CompletionRequest>, maxTokens: number): void {
  if (echo && (kept ?? null) !== null) {
    throw new ApiError('invalid_value', 'truncate_prompt_tokens: With "echo" the whole prompt is told, so it cannot be shortened.', 'truncate_prompt_tokens')
  }
  if (maxTokens > 0 || echo) return
  throw new ApiError('invalid_value', 'max_tokens: 0 is for prompts alone, with "echo": true; an answer has at least 1 token.', 'max_tokens')
}

/** Those that are not as they are by default. */
function specialsOf({ add_special_tokens: adds, parse_special: parses }: z.output<typeof CompletionRequest>): TextSpecials {
  return { ...(adds === false ? { addSpecialTokens: false } : {}), ...(parses ? { parseSpecial: true } : {}) }
}

type Prompt = z.output<typeof CompletionRequest>['prompt']

/** A text, texts, tokens, or lists of tokens: one prompt each. */
function promptsOf(prompt: Prompt, specials: TextSpecials, info: EngineInfo): TurnRequest['prompt'][] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: wellFormed(prompt), ...specials }]
  if (prompt.every((part) => typeof part === 'number')) return [tokenPrompt(prompt, info)]
  return prompt.map((part) => {
    if (typeof part === 'string') return { kind: 'text', text: wellFormed(part), ...specials } as const
    return tokenPrompt(typeof part === 'number' ? [part] : part, info)
  })
}

function tokenPrompt(tokens: readonly number[], info: EngineInfo): TurnRequest['prompt'] {
  return { kind: 'tokens', tokens: Uint32Array.from(inVocabulary(tokens, info, 'prompt')) }
}
