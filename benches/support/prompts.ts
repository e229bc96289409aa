// Prompts of a given length, without other people's texts.

const SENTENCES = [
  'The harbour was quiet when the first boats came in, and nobody on the pier spoke above a whisper.',
  'A baker who rises at three knows the smell of the street before anyone else has opened a window.',
  'Every spring the river takes a little more of the meadow, and every autumn it gives some of it back.',
  'Her notebook listed seventeen kinds of moss, each with a date, a place and a small careful drawing.',
  'They repaired the clock twice, but it kept its own opinion of what an hour ought to be.',
  'On clear nights the children counted satellites instead of sheep and argued about which one blinked.',
  'The train stopped between two stations, long enough for strangers to begin sharing their sandwiches.',
  'Nothing in the letter was untrue, and still he felt that it had been written to somebody else.',
] as const

/** Text of `sentences` sentences; another `start` gives another text from its first sentence on. */
export function proseOf(sentences: number, start = 0): string {
  const parts = Array.from({ length: sentences }, (_, index) => {
    const sentence = SENTENCES[(start + index * 3) % SENTENCES.length] ?? SENTENCES[0]
    return `Note ${start + index}: ${sentence}`
  })
  return parts.join(' ')
}
