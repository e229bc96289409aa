// Which tokens of an answer its text holds, from their bytes alone: what a server must keep of it.

/** The first `tokens` tokens lie wholly inside a text; `bytes` of its UTF-8 are theirs. */
export interface Inside {
  readonly tokens: number
  readonly bytes: number
}

/** Bytes that are no UTF-8 are U+FFFD in a text, and their tokens inside it; those that still wait for more are not. */
export function insideOf(tokens: readonly Uint8Array[], text: string): Inside {
  const stream = new TextDecoder('utf-8', { ignoreBOM: true })
  let certain = ''
  let inside: Inside = { tokens: 0, bytes: 0 }
  for (const [index, bytes] of tokens.entries()) {
    if (bytes.length === 0) break
    certain += stream.decode(bytes, { stream: true })
    if (decoded(tokens.slice(0, index + 1)) !== certain) continue
    if (!text.startsWith(certain)) break
    inside = { tokens: index + 1, bytes: Buffer.byteLength(certain) }
  }
  return inside
}

/** As at the end of a text, where what waits for more bytes is broken too. */
function decoded(tokens: readonly Uint8Array[]): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(tokens))
}
