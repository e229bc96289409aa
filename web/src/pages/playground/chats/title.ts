// The name of a chat: the first words of its first question.

const MAX_CHARS = 40

/** At most 40 characters and the sign for more, cut between words where there is such a place. */
export function titleOf(question: string): string {
  const words = question.replace(/\s+/g, ' ').trim()
  const characters = [...words]
  if (characters.length <= MAX_CHARS) return words
  const start = characters.slice(0, MAX_CHARS).join('')
  const space = start.lastIndexOf(' ')
  return `${(space > MAX_CHARS / 2 ? start.slice(0, space) : start).trimEnd()}…`
}
