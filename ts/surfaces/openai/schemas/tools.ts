// Tools of a request, and the choice between them.

import { z } from 'zod'
import { MAX_DESCRIPTION, MAX_TOOLS, toolName } from '../../limits.js'

const described = {
  name: toolName,
  description: z.string().max(MAX_DESCRIPTION).nullish(),
  parameters: z.unknown().optional().meta({ description: 'JSON Schema of the arguments', type: 'object' }),
}

const Tool = z.object({ type: z.literal('function'), function: z.object({ ...described, strict: z.boolean().nullish() }) })

const named = z.object({ name: toolName })
const namedTool = z.object({ type: z.literal('function'), function: named })

const allowedTools = z.object({
  type: z.literal('allowed_tools'),
  allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(namedTool).max(MAX_TOOLS) }),
})

export const toolFields = {
  tools: z.array(Tool).max(MAX_TOOLS).nullish().meta({ description: 'functions that the answer may call; an empty list is none' }),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), z.discriminatedUnion('type', [namedTool, allowedTools])])
    .nullish()
    .meta({ description: 'default: auto' }),
  parallel_tool_calls: z.boolean().nullish().meta({ description: 'whether an answer may make several calls; default true' }),
  functions: z.array(z.object(described)).max(MAX_TOOLS).nullish().meta({ deprecated: true, description: 'as tools; the answer has a function_call' }),
  function_call: z.union([z.enum(['none', 'auto']), named]).nullish().meta({ deprecated: true }),
}
