// Fields, tools and blocks of Anthropic's API that this server does not serve: refused by name, because the answer would be
// another one without them.

import { ApiError } from '../../protocol/errors.js'
import { rawField } from '../list-bounds.js'

const FIELDS = ['container', 'mcp_servers'] as const

/** Types of tools that Anthropic runs itself, or whose use the model would have to be trained for. */
const SERVER_TOOL = /^(web_search|web_fetch|code_execution|bash|bash_code_execution|text_editor|computer|memory|browser|tool_search|mcp)\w*$/

/** Blocks that a model of texts cannot read, or that only Anthropic's own tools make. */
const BLOCKS = new Set([
  'image',
  'document',
  'search_result',
  'container_upload',
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'mcp_tool_use',
  'mcp_tool_result',
  'tool_reference',
])

/** @throws ApiError `unsupported_parameter` naming the field. */
export function refuseUnsupported(body: unknown): void {
  for (const field of FIELDS) {
    const value = rawField(body, field)
    if (value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)) throw unsupported(field, 'this field')
  }
  for (const [index, tool] of listOf(body, 'tools').entries()) {
    const type = rawField(tool, 'type')
    if (typeof type === 'string' && SERVER_TOOL.test(type)) throw unsupported(`tools.${index}.type`, 'tools that the server itself runs')
  }
  for (const [index, message] of listOf(body, 'messages').entries()) refuseBlocks(message, `messages.${index}.content`)
}

/** Also those inside a tool's result. */
function refuseBlocks(owner: unknown, path: string): void {
  for (const [index, block] of listOf(owner, 'content').entries()) {
    const type = rawField(block, 'type')
    if (typeof type === 'string' && BLOCKS.has(type)) throw unsupported(`${path}.${index}.type`, `blocks of type ${type}`)
    if (type === 'tool_result') refuseBlocks(block, `${path}.${index}.content`)
  }
}

function listOf(owner: unknown, field: string): readonly unknown[] {
  const list = rawField(owner, field)
  return Array.isArray(list) ? list : []
}

function unsupported(param: string, what: string): ApiError {
  return new ApiError('unsupported_parameter', `${param}: The server does not support ${what}.`, param)
}
