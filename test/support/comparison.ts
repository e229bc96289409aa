// How answers of a server that reuses are held against computing everything. On the CPU both are the same bits, so the
// texts are. On a GPU bits are those of a plan, and reuse is another plan: there every token that was said is compared with
// what computing the same text from its beginning says in its place.

import { agreement, type Position } from './agreement.js'
import { Computed, type Model } from './computed.js'
import type { Answer, Message } from './conversation.js'
import { DEVICE, ON_GPU } from './device.js'
import { defaultModelPath } from './model.js'

/** Answers of conversations, turn by turn. */
export type Answers = ReadonlyArray<readonly Answer[]>

/** What is wrong with `actual`, in words; `expected` is of a server without reuse. */
export type Comparison = (actual: Answers, expected: Answers) => Promise<string[]>

/** The comparison that holds on the tests' device, for the model that served. */
export function comparisonOf(model: Model = { modelPath: defaultModelPath() ?? 'the default model is missing' }): Comparison {
  return ON_GPU ? (actual) => disagreements(actual, model) : async (actual, expected) => differences(actual, expected)
}

const where = (conversation: number, turn: number) => `conversation ${conversation}, turn ${turn}`

/** Where texts or finish reasons differ, in words. */
function differences(actual: Answers, expected: Answers): string[] {
  return expected.flatMap((turns, conversation) =>
    turns.flatMap((answer, turn) => {
      const other = actual[conversation]?.[turn]
      if (other && other.text === answer.text && other.finish === answer.finish) return []
      return [`${where(conversation, turn)}: ${JSON.stringify(other?.text)}, not ${JSON.stringify(answer.text)}`]
    }),
  )
}

/** For templates that ask for one; those of the tests' models do not. */
const DATE = '2026-01-02'

/** ‖Δ‖ / ‖reference‖ of the log probabilities that a server on a GPU gives. */
const MOST_DISTANCE = 2e-2

/** Where what was said does not agree with computing everything, in words. The CPU's numbers are the same to the bit. */
export async function disagreements(actual: Answers, model: Model): Promise<string[]> {
  const computed = await Computed.open(model)
  try {
    const said = new SaidTokens(computed)
    const positions: Position[] = []
    const places: string[] = []
    for (const [conversation, turns] of actual.entries()) {
      for (const turn of turns.keys()) {
        const found = await said.positions(turns, turn)
        positions.push(...found)
        places.push(...found.map((_, token) => `${where(conversation, turn)}, token ${token}`))
      }
    }
    const { distance, differences, wide } = agreement(positions)
    console.log(`# ${DEVICE}: distance ${distance.toExponential(2)} over ${positions.length} tokens, ${differences} with another likeliest token`)
    const far = distance <= (ON_GPU ? MOST_DISTANCE : 0) ? [] : [`distance ${distance}`]
    return [...far, ...wide.map(({ index, margin, bound }) => `${places[index]}: margin ${margin}, a near-tie is below ${bound}`)]
  } finally {
    await computed.close()
  }
}

/** Answers as token ids: a server gives their bytes, which name them in a vocabulary of byte strings. */
class SaidTokens {
  readonly #computed: Computed
  readonly #ids = new Map<string, number>()

  constructor(computed: Computed) {
    this.#computed = computed
    for (let token = computed.vocabulary - 1; token >= 0; token--) this.#ids.set(nameOf(computed.text.tokenBytes(token)), token)
  }

  /** What answer `turn` said about each of its tokens, and what computing its text from the beginning says. */
  async positions(turns: readonly Answer[], turn: number): Promise<Position[]> {
    const answer = turns[turn] as Answer
    const prompt = await this.#prompt(answer.messages, turns.slice(0, turn))
    if (prompt.length !== answer.usage.prompt_tokens) {
      throw new Error(`a prompt of ${prompt.length} tokens was ${answer.usage.prompt_tokens} to the server`)
    }
    const tokens = Uint32Array.from([...prompt, ...this.#tokens(answer)])
    const rows = await this.#computed.logprobs(tokens, prompt.length)
    return rows.map((reference, i) => ({
      actual: (answer.likeliest[i] ?? []).map(({ bytes, logprob }) => [this.#id(bytes), logprob] as const),
      reference,
    }))
  }

  /** The tokens of a prompt, in which earlier answers keep those that they were generated with. */
  async #prompt(messages: readonly Message[], earlier: readonly Answer[]): Promise<Uint32Array> {
    let next = 0
    const texts = messages.map(({ role, content }) => {
      if (typeof content !== 'string') throw new Error('a message without text')
      const answer = role === 'assistant' ? earlier[next++] : undefined
      if (answer === undefined || answer.insideTokens === 0) return { role, content }
      const inside = answer.tokens.slice(0, answer.insideTokens)
      const stored = { tokens: this.#tokens(answer).slice(0, inside.length), bytes: Buffer.concat(inside).length }
      return { role, content, stored }
    })
    const { tokens } = await this.#computed.text.encodeChat(texts, DATE)
    return tokens
  }

  #tokens(answer: Answer): Uint32Array {
    return Uint32Array.from(answer.tokens, (bytes) => this.#id(bytes))
  }

  #id(bytes: Uint8Array): number {
    const id = this.#ids.get(nameOf(bytes))
    if (id === undefined) throw new Error(`no token has the bytes ${Buffer.from(bytes).toString('hex')}`)
    return id
  }
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
