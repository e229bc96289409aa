// JSON as a block of code: indented where it can be read, as it is where it cannot.

/** The fence is longer than any row of backticks inside. */
export function fencedJson(text: string): string {
  const pretty = indented(text)
  const longest = Math.max(2, ...[...pretty.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}json\n${pretty}\n${fence}`
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
