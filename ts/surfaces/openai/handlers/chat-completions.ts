import type { z } from 'zod'
import { ApiError } from '../../../protocol/errors.js'
import type { TurnRequest } from '../../../service/types.js'
import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceContext, type SurfaceRequest, type SurfaceRoute } from '../../surface.js'
import { templateArguments } from '../../template-arguments.js'
import { checkModel } from '../../turn-fields.js'
import { readAnswer, startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { endedMessages } from '../ending.js'
import { chatFields } from '../fields/tables.js'
import { chatBody, chatChunks } from '../format/chat.js'
import { responseHead } from '../format/head.js'
import { requestTemplate } from '../request-template.js'
import { promptLogprobs } from '../format/prompt-logprobs.js'
import { ChatRequest } from '../schemas/chat.js'
import { askedScores } from '../prompt-scores.js'
import { askedTools, type AskedTools } from '../tools.js'
import { turnRequest } from '../turn-request.js'

type Fields = z.output<typeof ChatRequest>

/** POST /v1/chat/completions */
export const chatCompletions: SurfaceRoute['handler'] = async (request, context) => {
  const { body, signal } = request
  checkLengths(body, context.service.modelContext)
  const ignored = chatFields.check(body, context.strictFields)
  const fields = validate(ChatRequest, body)
  const model = checkModel(fields.model, context.models)
  checkTogether(fields)
  const tools = askedTools(fields)
  const [turn] = await startTurns([chatTurn(fields, tools, request, context)], signal, context)
  if (turn === undefined) throw new Error('one request, no turn')
  const head = responseHead('chatcmpl', model, context)
  const headers = { 'x-conversation-id': turn.conversation, ...ignoredFieldsHeader(ignored) }
  const form = { logprobs: fields.logprobs ?? false, reasoning: fields.include_reasoning ?? true, asFunctions: tools.asFunctions }
  const { text } = context.engine
  if (!fields.stream) {
    const answer = await readAnswer(turn)
    const { scoredPrompt } = turn
    const scores = scoredPrompt ? { prompt_logprobs: promptLogprobs(scoredPrompt, fields.prompt_logprobs ?? 0, text) } : {}
    return json({ ...chatBody(head, answer, form, text), ...scores }, headers)
  }
  const includeUsage = fields.stream_options?.include_usage ?? false
  const mayCall = tools.tools !== undefined && tools.tools.choice !== 'none'
  return { kind: 'stream', headers, events: chatChunks(head, turn, { ...form, includeUsage, mayCall }, text) }
}

/** @throws ApiError for fields that need something which is not there. */
function checkTogether({ logprobs, top_logprobs: top }: Fields): void {
  if (!logprobs && top) throw new ApiError('invalid_value', 'top_logprobs: The field needs "logprobs": true.', 'top_logprobs')
}

function chatTurn(
  fields: Fields,
  { tools, choiceField }: AskedTools,
  { caller, requestId, conversation }: SurfaceRequest,
  context: SurfaceContext,
): TurnRequest {
  const wishes = { given: fields.chat_template_kwargs, effort: fields.reasoning_effort, thinking: fields.enable_thinking }
  return turnRequest(fields, context.engine.info, {
    requestId,
    tenant: caller.tenant,
    conversation,
    prompt: { kind: 'chat', ...endedMessages(fields) },
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens ?? null,
    logprobs: fields.logprobs ? (fields.top_logprobs ?? 0) : null,
    promptLogprobs: askedScores({ ...fields, echoed: null }),
    tools,
    choiceField,
    templateArguments: templateArguments(wishes, 'chat_template_kwargs'),
    ...requestTemplate(fields.chat_template, context),
  })
}
