import { PromptTooLong } from '../../../engine/too-long.js'
import { ApiError } from '../../../protocol/errors.js'
import type { DetokenizeResponse, TokenizeResponse } from '../../../protocol/index.js'
import { MAX_TRUNCATED } from '../../../protocol/limits.js'
import { json, type SurfaceContext, type SurfaceRoute } from '../../surface.js'
import { templateArguments } from '../../template-arguments.js'
import { checkModel, inVocabulary, wellFormed } from '../../turn-fields.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { endedMessages } from '../ending.js'
import { requestTemplate } from '../request-template.js'
import { askedTools } from '../tools.js'
import { DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest } from '../schemas/tokenize.js'

/** POST /tokenize: of a text, or of chat messages with the generation prompt. */
export const tokenize: SurfaceRoute['handler'] = async ({ body }, context) => {
  checkLengths(body, context.service.modelContext)
  const isChat = typeof body === 'object' && body !== null && Object.hasOwn(body, 'messages')
  const [tokens, wantsTexts] = isChat ? await chatTokens(body, context) : await textTokens(body, context)
  const { text } = context.engine
  const reply: TokenizeResponse = {
    count: tokens.length,
    max_model_len: context.service.modelContext,
    tokens: [...tokens],
    token_strs: wantsTexts ? Array.from(tokens, (token) => Buffer.from(text.tokenBytes(token)).toString('utf8')) : null,
  }
  return json(reply)
}

type Tokens = readonly [tokens: Uint32Array, wantsTexts: boolean]

async function textTokens(body: unknown, { engine, models, service }: SurfaceContext): Promise<Tokens> {
  const fields = validate(TokenizeTextRequest, body)
  checkModel(fields.model, models)
  const text = wellFormed(fields.prompt)
  const encoding = engine.text.tokenize(text, fields.add_special_tokens ?? true, mostTokens(service), fields.parse_special ?? false)
  const tokens = await within('prompt', encoding)
  return [tokens, fields.return_token_strs ?? false]
}

async function chatTokens(body: unknown, context: SurfaceContext): Promise<Tokens> {
  const { models, service } = context
  const fields = validate(TokenizeChatRequest, body)
  checkModel(fields.model, models)
  const template = requestTemplate(fields.chat_template, context)
  const { tools } = askedTools(fields)
  const wishes = { given: fields.chat_template_kwargs, effort: fields.reasoning_effort, thinking: fields.enable_thinking }
  const own = templateArguments(wishes, 'chat_template_kwargs')
  const asked = { ...(tools ? { tools } : {}), ...(own ? { templateArguments: own } : {}) }
  const chat = { ending: 'answer' as const, ...asked, ...template, ...endedMessages(fields) }
  const tokens = await within('messages', service.tokenizeChat(chat, mostTokens(service)))
  return [tokens, fields.return_token_strs ?? false]
}

/** As many as a prompt may have. */
function mostTokens(service: SurfaceContext['service']): number {
  return Math.max(service.modelContext - 1, MAX_TRUNCATED)
}

async function within<T>(param: string, encoding: Promise<T>): Promise<T> {
  try {
    return await encoding
  } catch (error) {
    if (!(error instanceof PromptTooLong)) throw error
    const { atLeast, most } = error
    const message = `The text has at least ${atLeast} tokens. The limit is ${most}.`
    throw new ApiError('context_length_exceeded', message, param, { prompt_tokens: atLeast, max_model_len: most })
  }
}

/** POST /detokenize */
export const detokenize: SurfaceRoute['handler'] = async ({ body }, { engine, models, service }) => {
  checkLengths(body, service.modelContext)
  const fields = validate(DetokenizeRequest, body)
  checkModel(fields.model, models)
  const tokens = Uint32Array.from(inVocabulary(fields.tokens, engine.info, 'tokens'))
  const reply: DetokenizeResponse = { prompt: await engine.text.decode(tokens) }
  return json(reply)
}
