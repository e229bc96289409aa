// The constraints that a body asks for, whichever server's words it uses.

import type { z } from 'zod'
import {
  choiceConstraint,
  grammarConstraint,
  jsonObjectConstraint,
  regexConstraint,
  schemaConstraint,
  type NamedConstraint,
} from '../constraints.js'
import type { structureFields } from './schemas/structure.js'

type Fields = z.output<z.ZodObject<typeof structureFields>>

/**
 * In the order of the fields; an empty list asks for nothing.
 * @throws ApiError `invalid_value` naming the field of one that is over its bounds.
 */
export function askedConstraints(fields: Fields): NamedConstraint[] {
  const outputs = fields.structured_outputs ?? {}
  return [
    ...ofFormat(fields.response_format),
    ...(outputs.json_object ? [jsonObjectConstraint('structured_outputs.json_object')] : []),
    ...asked(outputs.json, 'structured_outputs.json', schemaConstraint),
    ...asked(outputs.regex, 'structured_outputs.regex', regexConstraint),
    ...asked(outputs.choice, 'structured_outputs.choice', choiceConstraint),
    ...asked(outputs.grammar, 'structured_outputs.grammar', grammarConstraint),
    ...asked(fields.guided_json, 'guided_json', schemaConstraint),
    ...asked(fields.guided_regex, 'guided_regex', regexConstraint),
    ...asked(fields.guided_choice, 'guided_choice', choiceConstraint),
    ...asked(fields.guided_grammar, 'guided_grammar', grammarConstraint),
    ...asked(fields.json_schema, 'json_schema', schemaConstraint),
    ...asked(fields.grammar, 'grammar', grammarConstraint),
  ]
}

/** Clients send null, false, an empty text or an empty list for a constraint that they do not want. An empty schema is one. */
function asked<T>(value: T | null | undefined, param: string, make: (value: T, param: string) => NamedConstraint): NamedConstraint[] {
  if (value === null || value === undefined || value === '' || value === false) return []
  return Array.isArray(value) && value.length === 0 ? [] : [make(value, param)]
}

function ofFormat(format: Fields['response_format']): NamedConstraint[] {
  if (!format || format.type === 'text') return []
  const [schema, param] =
    format.type === 'json_schema' ? [format.json_schema.schema, 'response_format.json_schema.schema'] : [format.schema, 'response_format.schema']
  return [schema === undefined || schema === null ? jsonObjectConstraint('response_format') : schemaConstraint(schema, param)]
}
