// The fields that a JSON Schema names, as paths: `messages[].content`.

export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, JsonSchema>>
}

export function pathsIn(schema: JsonSchema, definitions: Readonly<Record<string, JsonSchema>>, at = ''): string[] {
  const inside = (inner: JsonSchema, path: string) => pathsIn(inner, definitions, path)
  const named = schema.$ref === undefined ? undefined : definitions[schema.$ref.replace('#/$defs/', '')]
  if (named !== undefined) return inside(named, at)
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const path = at === '' ? name : `${at}.${name}`
    return [path, ...inside(inner, path)]
  })
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((branch) => inside(branch, at))
  return [...own, ...branches, ...(schema.items ? inside(schema.items, `${at}[]`) : [])]
}
