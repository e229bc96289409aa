// Fields that chat completions and completions share.

import { z } from 'zod'
import { CONVERSATION_ID } from '../../../protocol/schemas/conversations.js'
import { structureFields } from './structure.js'

/** Most stop strings of a request, and most UTF-16 units of one. */
export const MAX_STOPS = 16
export const MAX_STOP_LENGTH = 1024
/** Most alternatives a token's log probabilities list. */
export const MAX_TOP_LOGPROBS = 20
/** Most words of `bad_words`, and most UTF-16 units of one. */
export const MAX_BAD_WORDS = 128
export const MAX_BAD_WORD_LENGTH = 256
/** Most tokens of `logit_bias`. */
export const MAX_LOGIT_BIASES = 1024

const minTokens = z.int().min(0).max(0x7fff_ffff)
export const tokenId = z.int().nonnegative().max(0xffff_ffff)
const stopString = z.string().min(1).max(MAX_STOP_LENGTH)

const conversationId = z.string().regex(CONVERSATION_ID, '1 to 128 of A-Z a-z 0-9 . _ : -')

/** Zod drops unknown keys by building a new object, so nothing of a request's JSON is ever merged into one of ours. */
export const generationFields = {
  model: z.string().min(1).max(512).nullish().meta({ description: 'a name of GET /v1/models; default: the first' }),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).max(0x7fff_ffff).nullish().meta({ description: '0 or -1: off' }),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(100).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,10}$/, 'a token id'), z.number().min(-100).max(100))
    .refine((biases) => Object.keys(biases).length <= MAX_LOGIT_BIASES, `at most ${MAX_LOGIT_BIASES} tokens`)
    .nullish(),
  seed: z.int().nullish(),
  stop: z.union([stopString, z.array(stopString).max(MAX_STOPS)]).nullish(),
  stop_token_ids: z.array(tokenId).max(MAX_STOPS).nullish(),
  ignore_eos: z.boolean().nullish(),
  min_tokens: minTokens.nullish().meta({ description: 'the number of tokens that the answer has at least. default: 0' }),
  min_new_tokens: minTokens.nullish().meta({ description: 'another name of min_tokens, which goes before it' }),
  bad_words: z.array(z.string().min(1).max(MAX_BAD_WORD_LENGTH)).max(MAX_BAD_WORDS).nullish().meta({ description: 'words that the answer does not contain' }),
  include_stop_str_in_output: z.boolean().nullish().meta({ description: 'true: a stop string is the end of the text' }),
  no_stop_trim: z.boolean().nullish().meta({ description: 'another name of include_stop_str_in_output, which goes before it' }),
  prompt_logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish().meta({ description: 'log probabilities of the prompt; the number of alternatives a token' }),
  cache_salt: z.string().max(256).nullish(),
  conversation: conversationId.nullish(),
  session_id: conversationId.nullish().meta({ description: 'another name of conversation, which goes before it' }),
  prompt_cache_key: z.string().max(1024).nullish().meta({ description: 'a hint that names the conversation' }),
  prompt_cache_retention: z.enum(['in_memory', 'in-memory', '24h']).nullish().meta({ description: '24h: a hint that the conversation comes back, never a promise to keep it' }),
  truncation: z
    .enum(['auto', 'disabled'])
    .nullish()
    .meta({ description: 'auto: a conversation longer than the context continues with its head and latest part. default: disabled' }),
  truncate_prompt_tokens: z
    .union([z.literal(-1), z.int().min(1).max(0x7fff_ffff)])
    .nullish()
    .meta({ description: 'only the last N tokens of the prompt are taken; -1: all that leave room for the answer' }),
  ...structureFields,
}

/** The fields that chat completions and completions share. */
export type GenerationFields = z.output<z.ZodObject<typeof generationFields>>

export const promptTokens = z.array(tokenId).min(1)
/** Most tokens that a field can name. */
export const MOST_TOKENS = 0x7fff_ffff
export const maxTokens = z.int().min(1).max(MOST_TOKENS)
