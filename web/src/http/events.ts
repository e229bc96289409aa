// Server-sent events out of a response body: the `data` of each event, comments left out.

/** Text of one event that has not ended may not grow beyond this. */
const MAX_EVENT_CHARS = 4 * 1024 * 1024

/** @throws Error if an event never ends. */
export async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let waiting = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const events = (waiting + value).split(/\r?\n\r?\n/)
      waiting = events.pop() ?? ''
      if (waiting.length > MAX_EVENT_CHARS) throw new Error('an event of the stream has no end')
      for (const event of events) {
        const data = dataOf(event)
        if (data !== null) yield data
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** null: a comment, such as a keep-alive. */
function dataOf(event: string): string | null {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'))
  return lines.length === 0 ? null : lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n')
}
