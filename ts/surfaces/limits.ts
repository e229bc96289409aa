// Bounds of tools and constraints, and the schemas of names: the bodies of all surfaces are made of them.

import { z } from 'zod'

/** Most tools of a request. */
export const MAX_TOOLS = 512
/** Most calls of one message. */
export const MAX_CALLS = 128
/** Most UTF-16 units of a tool's description. */
export const MAX_DESCRIPTION = 65_536

/** Most UTF-16 units of a regular expression, of a grammar and of one choice, and most choices. */
export const MAX_PATTERN = 16_384
export const MAX_GRAMMAR = 131_072
export const MAX_CHOICE = 1024
export const MAX_CHOICES = 1024

/** Of a tool, or of a schema, as OpenAI's API takes them. */
export const toolName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -')

/** Of a call that a message repeats. Models also call tools that are not there, so the name follows no pattern. */
export const calledName = z.string().min(1).max(256)
export const callId = z.string().min(1).max(256)
