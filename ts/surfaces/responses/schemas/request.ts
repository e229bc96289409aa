import { z } from 'zod'
import { MAX_DESCRIPTION, MAX_GRAMMAR, MAX_TOOLS, toolName } from '../../limits.js'
import { REASONING_EFFORTS } from '../../template-arguments.js'
import { InputItem } from './items.js'

const COUNT = 0x7fff_ffff
/** Most alternatives that a token's log probabilities list. */
const MAX_TOP_LOGPROBS = 20

const description = z.string().max(MAX_DESCRIPTION)
/** Its bounds are the constraint's and the tool's. */
const jsonSchema = z.record(z.string(), z.unknown())

const FunctionTool = z.object({
  type: z.literal('function'),
  name: toolName,
  description: description.nullish(),
  parameters: jsonSchema.nullish(),
  strict: z.boolean().nullish(),
})

const CustomTool = z.object({
  type: z.literal('custom'),
  name: toolName,
  description: description.nullish(),
  format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('grammar'), syntax: z.enum(['lark', 'regex']), definition: z.string().min(1).max(MAX_GRAMMAR) }),
    ])
    .nullish(),
})

export type CustomTool = z.output<typeof CustomTool>

const named = { name: z.string().max(128) }

const ToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('function'), ...named }),
    z.object({ type: z.literal('custom'), ...named }),
    z.object({
      type: z.literal('allowed_tools'),
      mode: z.enum(['auto', 'required']),
      tools: z.array(z.object({ type: z.enum(['function', 'custom']), ...named })).min(1).max(MAX_TOOLS),
    }),
  ]),
])

const Format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    name: z.string().min(1).max(128),
    schema: jsonSchema,
    description: description.nullish(),
    strict: z.boolean().nullish().meta({ description: 'the schema holds in either case' }),
  }),
])

/** What `include` may name: the first two are served, the others belong to tools that the server does not have. */
export const REASONING = 'reasoning.encrypted_content'
export const LOGPROBS = 'message.output_text.logprobs'
const Includable = z.enum([
  REASONING,
  LOGPROBS,
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
])

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'at most 16 pairs')
  .nullish()

export const ResponseRequest = z
  .object({
    model: z.string().min(1).max(512).nullish().meta({ description: 'a name of GET /v1/models; default: the first' }),
    input: z.union([z.string(), z.array(InputItem)]).nullish(),
    instructions: z.string().nullish(),
    previous_response_id: z.string().min(1).max(256).nullish(),
    tools: z.array(z.discriminatedUnion('type', [FunctionTool, CustomTool])).max(MAX_TOOLS).nullish(),
    tool_choice: ToolChoice.nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    text: z.object({ format: Format.nullish(), verbosity: z.enum(['low', 'medium', 'high']).nullish() }).nullish(),
    reasoning: z.object({ effort: z.enum(REASONING_EFFORTS).nullish(), summary: z.string().max(32).nullish() }).nullish(),
    max_output_tokens: z.int().min(1).max(COUNT).nullish(),
    max_tool_calls: z.int().min(1).max(COUNT).nullish().meta({ description: 'without effect: it counts tools that a server runs' }),
    temperature: z.number().min(0).max(100).nullish(),
    top_p: z.number().gt(0).max(1).nullish(),
    top_k: z.int().min(-1).max(COUNT).nullish(),
    min_p: z.number().min(0).max(1).nullish(),
    presence_penalty: z.number().min(-2).max(2).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    seed: z.int().nullish(),
    top_logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
    include: z.array(Includable).max(16).nullish(),
    truncation: z.enum(['auto', 'disabled']).nullish(),
    store: z.boolean().nullish().meta({ description: 'default true' }),
    stream: z.boolean().nullish(),
    metadata,
    user: z.string().max(1024).nullish(),
    safety_identifier: z.string().max(1024).nullish(),
    prompt_cache_key: z.string().max(1024).nullish().meta({ description: 'a hint that names the conversation' }),
    prompt_cache_retention: z.enum(['in_memory', 'in-memory', '24h']).nullish(),
    service_tier: z.enum(['auto', 'default']).nullish(),
    cache_salt: z.string().max(256).nullish(),
  })
  .meta({ id: 'ResponseRequest' })

export type ResponseRequest = z.output<typeof ResponseRequest>

export const ResponseParams = z.object({ id: z.string().min(1).max(256) })

export const ItemsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().max(256).optional().meta({ description: 'an item id: the page begins after it' }),
})

