import { z } from 'zod'
import { CONVERSATION_ID } from '../../../protocol/schemas/conversations.js'
import { MAX_DESCRIPTION, MAX_TOOLS } from '../../limits.js'
import { cacheControl, Message, TextBlock } from './blocks.js'

/** Most stop sequences of a request, and most UTF-16 units of one. */
export const MAX_STOPS = 16
const MAX_STOP_LENGTH = 1024
const COUNT = 0x7fff_ffff

/** Anthropic's names of tools are longer than OpenAI's. */
const toolName = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, '1 to 128 of A-Z a-z 0-9 _ -')
/** Its bounds are the constraint's and the tool's. */
const jsonSchema = z.record(z.string(), z.unknown())

const Tool = z.object({
  type: z.literal('custom').nullish(),
  name: toolName,
  description: z.string().max(MAX_DESCRIPTION).nullish(),
  input_schema: jsonSchema,
  strict: z.boolean().nullish(),
  cache_control: cacheControl,
})

const parallel = { disable_parallel_tool_use: z.boolean().nullish() }

const ToolChoice = z.discriminatedUnion('type', [
  z.object({ type: z.literal('auto'), ...parallel }),
  z.object({ type: z.literal('any'), ...parallel }),
  z.object({ type: z.literal('tool'), name: z.string().max(128), ...parallel }),
  z.object({ type: z.literal('none') }),
])

const display = z.enum(['summarized', 'omitted']).nullish().meta({ description: 'omitted: thinking blocks come without their text' })

const Thinking = z.discriminatedUnion('type', [
  z.object({ type: z.literal('enabled'), budget_tokens: z.int().min(1).max(COUNT).nullish().meta({ description: 'without effect' }), display }),
  z.object({ type: z.enum(['adaptive', 'between_tools']), display }),
  z.object({ type: z.literal('disabled') }),
])

const format = z.object({ type: z.literal('json_schema'), schema: jsonSchema }).nullish()

/** The fields that make the prompt. */
const promptFields = {
  model: z.string().min(1).max(512).nullish().meta({ description: 'a name of GET /v1/models; default: the first' }),
  messages: z.array(Message).min(1),
  system: z.union([z.string(), z.array(TextBlock)]).nullish(),
  tools: z.array(Tool).max(MAX_TOOLS).nullish(),
  tool_choice: ToolChoice.nullish(),
  thinking: Thinking.nullish(),
  output_config: z.object({ effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(), format }).nullish(),
  output_format: format.meta({ description: 'an earlier name of output_config.format' }),
  cache_control: cacheControl,
  cache_salt: z.string().max(256).nullish(),
  conversation: z.string().regex(CONVERSATION_ID, '1 to 128 of A-Z a-z 0-9 . _ : -').nullish(),
}

export const CountTokensRequest = z.object(promptFields).meta({ id: 'AnthropicCountTokensRequest' })

export const CountTokensResponse = z.object({ input_tokens: z.int() }).meta({ id: 'AnthropicTokenCount' })

export const MessagesRequest = z
  .object({
    ...promptFields,
    max_tokens: z.int().min(1).max(COUNT).nullish().meta({ description: 'default: what the context has room for' }),
    stop_sequences: z.array(z.string().min(1).max(MAX_STOP_LENGTH)).max(MAX_STOPS).nullish(),
    stream: z.boolean().nullish(),
    temperature: z.number().min(0).max(100).nullish(),
    top_k: z.int().min(-1).max(COUNT).nullish().meta({ description: '0 or -1: off' }),
    top_p: z.number().gt(0).max(1).nullish(),
    seed: z.int().nullish(),
    metadata: z.object({ user_id: z.string().max(1024).nullish() }).nullish().meta({ description: 'without effect' }),
  })
  .meta({ id: 'AnthropicMessagesRequest' })

export type CountTokensRequest = z.output<typeof CountTokensRequest>
export type MessagesRequest = z.output<typeof MessagesRequest>
