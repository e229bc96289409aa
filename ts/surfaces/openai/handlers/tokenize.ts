import { ApiError } from '../../../protocol/errors.js'
import type { DetokenizeResponse, TokenizeResponse } from '../../../protocol/index.js'
import { json, type SurfaceContext, type SurfaceRoute } from '../../surface.js'
import { checkModel, inVocabulary, wellFormed } from '../../turn-fields.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { turnMessages } from '../messages.js'
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

async function textTokens(body: unknown, { engine, models }: SurfaceContext): Promise<Tokens> {
  const fields = validate(TokenizeTextRequest, body)
  checkModel(fields.model, models)
  const tokens = await engine.text.tokenize(wellFormed(fields.prompt), fields.add_special_tokens ?? true)
  return [tokens, fields.return_token_strs ?? false]
}

async function chatTokens(body: unknown, { engine, models }: SurfaceContext): Promise<Tokens> {
  const fields = validate(TokenizeChatRequest, body)
  checkModel(fields.model, models)
  if (!engine.info.hasChatTemplate) throw new ApiError('invalid_value', 'messages: The model has no chat template.', 'messages')
  const today = new Date().toISOString().slice(0, 10)
  const { tokens } = await engine.text.encodeChat(turnMessages(fields.messages), today)
  return [tokens, fields.return_token_strs ?? false]
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
