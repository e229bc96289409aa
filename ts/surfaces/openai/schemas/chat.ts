import { z } from 'zod'
import { REASONING_EFFORTS } from '../../template-arguments.js'
import { generationFields, MAX_TOP_LOGPROBS, maxTokens } from './generation.js'
import { ChatMessage } from './messages.js'
import { PromptLogprobs } from './prompt-logprobs.js'
import { toolFields } from './tools.js'
import { Usage } from './usage.js'

/** How the prompt ends. */
export const endingFields = {
  add_generation_prompt: z.boolean().nullish().meta({ description: 'whether the beginning of an answer follows the messages; default true' }),
  continue_final_message: z
    .boolean()
    .nullish()
    .meta({ description: "true: the answer goes on with the last message, the assistant's; needs add_generation_prompt false" }),
}

/** Most UTF-16 units of a template. */
export const MAX_TEMPLATE_LENGTH = 65_536

export const chatTemplate = z
  .string()
  .min(1)
  .max(MAX_TEMPLATE_LENGTH)
  .nullish()
  .meta({ description: "in the place of the model's own, where the server has --trust-request-templates" })

export const ChatRequest = z
  .object({
    ...generationFields,
    ...toolFields,
    messages: z.array(ChatMessage).min(1),
    max_tokens: maxTokens.nullish(),
    max_completion_tokens: maxTokens.nullish().meta({ description: 'wins over max_tokens' }),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
    reasoning_effort: z.enum(REASONING_EFFORTS).nullish().meta({ description: 'a variable of the template; none and minimal also turn thinking off' }),
    enable_thinking: z.boolean().nullish().meta({ description: 'a variable of the template' }),
    chat_template_kwargs: z.unknown().optional().meta({ description: 'variables for the template', type: 'object' }),
    ...endingFields,
    chat_template: chatTemplate,
    include_reasoning: z.boolean().nullish().meta({ description: 'false: the answer comes without its reasoning' }),
  })
  .meta({ id: 'ChatCompletionRequest' })

const tokenChoice = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() })

export const ChatLogprobs = z
  .object({
    content: z.array(tokenChoice.extend({ top_logprobs: z.array(tokenChoice) })),
    refusal: z.null(),
  })
  .meta({ id: 'ChatLogprobs' })

/** The list is open: a client that meets a word which it does not know takes it as `stop`. */
export const finishReason = z.enum(['stop', 'length', 'tool_calls', 'function_call'])
export const stopReason = z
  .union([z.string(), z.int()])
  .nullable()
  .meta({ description: 'the stop string or stop token that ended the answer' })

const calledFunction = z.object({ name: z.string(), arguments: z.string().meta({ description: 'JSON text' }) })

const toolCall = z.object({ id: z.string(), type: z.literal('function'), function: calledFunction })

/** Absent where the model did not reason; both names say the same. */
const reasoningFields = { reasoning_content: z.string().optional(), reasoning: z.string().optional() }

const answer = z.object({
  role: z.literal('assistant'),
  content: z.string().nullable().meta({ description: 'null: the answer is tool calls or reasoning alone' }),
  refusal: z.null(),
  ...reasoningFields,
  tool_calls: z.array(toolCall).optional(),
  function_call: calledFunction.optional().meta({ description: 'in the place of tool_calls, where the request has functions' }),
})

const head = { id: z.string(), created: z.int(), model: z.string(), system_fingerprint: z.string() }

export const ChatResponse = z
  .object({
    ...head,
    object: z.literal('chat.completion'),
    choices: z.array(
      z.object({
        index: z.int(),
        message: answer,
        logprobs: ChatLogprobs.nullable(),
        finish_reason: finishReason,
        stop_reason: stopReason,
      }),
    ),
    usage: Usage,
    prompt_logprobs: PromptLogprobs.optional(),
  })
  .meta({ id: 'ChatCompletion' })

const callDelta = z.object({
  index: z.int(),
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string() }),
})

const delta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().optional(),
  ...reasoningFields,
  tool_calls: z.array(callDelta).optional().meta({ description: 'id and name once, then pieces of the arguments' }),
  function_call: z.object({ name: z.string().optional(), arguments: z.string() }).optional(),
})

export const ChatChunk = z
  .object({
    ...head,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(
      z.object({
        index: z.int(),
        delta,
        logprobs: ChatLogprobs.nullable(),
        finish_reason: finishReason.nullable(),
        stop_reason: stopReason.optional(),
      }),
    ),
    usage: Usage.nullish(),
  })
  .meta({ id: 'ChatCompletionChunk' })
