// Strangers on one server: another tenant, or another cache salt. To each of them it answers as if the other were not there.

import test from 'ava'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, simulatedService, type SimulatedService } from '../support/simulated-service.js'
import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'

/** Before midnight of the day on which the first conversations are held, and behind it. */
const BEFORE_MS = 30_000
const PAST_MIDNIGHT_MS = 60_000
const MIDNIGHT = Date.UTC(2026, 2, 2)

/** Who asks: its tenant and its cache salt. */
interface Asker {
  readonly tenant: string
  readonly cacheSalt: string
}

const asker = (tenant: string, cacheSalt: string): Asker => ({ tenant, cacheSalt })

const STRANGERS: ReadonlyArray<readonly [Asker, Asker]> = [
  [asker('', 'first'), asker('', 'second')],
  [asker('', ''), asker('', 'second')],
  [asker('', 'first'), asker('', '')],
  [asker('acme', 'salt'), asker('rival', 'salt')],
  [asker('salt', ''), asker('', 'salt')],
  [asker('acme', ''), asker('rival', '')],
]

/** Ways in which a request says, or does not say, whose turn it is. */
const WAYS: Readonly<Record<string, Partial<TurnRequest>>> = {
  'no id': {},
  'one id': { conversation: 'mine' },
  'one prompt_cache_key': { conversationHint: 'key' },
  'truncation': { truncation: 'auto' },
  'an id and truncation': { conversation: 'mine', truncation: 'auto' },
}

/** A service whose new conversations have the name that was set last. */
function server() {
  const name = { next: 'made for the first' }
  const clock = new VirtualClock(MIDNIGHT - BEFORE_MS)
  const served = simulatedService({ clock }, { clock, contextWindow: 256, maxContext: 1024, newConversationId: () => name.next })
  return { served, name, clock }
}

/** All that a client can tell of an answer, besides how long it took. */
async function seen(served: SimulatedService, who: Asker, messages: readonly TurnMessage[], way: Partial<TurnRequest>) {
  const { text, tokens, finish, usage } = await ask(served.service, chat(messages, { ...who, ...way, ignoreEos: true, sampling: { ...greedy, temperature: 1, seed: 7n } }))
  const { promptTokens, completionTokens, conversation, reusedTokens, computedTokens, outsideViewTokens, missedTokens, strandedBlocks } = usage
  const counts = { promptTokens, completionTokens, conversation, reusedTokens, computedTokens, outsideViewTokens, missedTokens, strandedBlocks }
  return { text, tokens, finish, ...counts }
}

const user = (content: string): TurnMessage => ({ role: 'user', content })
const assistant = (content: string): TurnMessage => ({ role: 'assistant', content })

/** Turns over `messages`, each answered, with the next words. Answers how they looked, and the whole history. */
async function hold(served: SimulatedService, who: Asker, messages: readonly TurnMessage[], way: Partial<TurnRequest>, words: readonly string[]) {
  const history = [...messages]
  const answers: Array<Awaited<ReturnType<typeof seen>>> = []
  for (const word of words) {
    history.push(user(word))
    answers.push(await seen(served, who, history, way))
    history.push(assistant(answers.at(-1)?.text ?? ''))
  }
  return { history, answers }
}

const OPENING = ['Tell me a secret word about a stranger and the river bank, please. '.repeat(3), 'And then?']

for (const [first, second] of STRANGERS) {
  const names = `${JSON.stringify(first)} and ${JSON.stringify(second)}`
  for (const [name, way] of Object.entries(WAYS)) {
    test(`who continues a stranger's conversation sees what it would see alone: ${names}, ${name}`, async t => {
      const { served, name: id, clock } = server()
      const { history } = await hold(served, first, [], way, OPENING)
      await clock.advance(PAST_MIDNIGHT_MS)
      id.next = 'made for the second'
      const beside = await hold(served, second, history, way, ['Go on.', 'And on.'])

      const empty = server()
      await empty.clock.advance(PAST_MIDNIGHT_MS)
      empty.name.next = 'made for the second'
      const alone = await hold(empty.served, second, history, way, ['Go on.', 'And on.'])
      t.deepEqual(beside.answers, alone.answers)
      for (const one of [served, empty.served]) await one.close()
    })

    test(`a conversation goes on as if no stranger had repeated it: ${names}, ${name}`, async t => {
      const answers = []
      for (const isVisited of [true, false]) {
        const { served, name: id, clock } = server()
        const { history } = await hold(served, first, [], way, OPENING)
        await clock.advance(PAST_MIDNIGHT_MS)
        id.next = 'made for the second'
        if (isVisited) for (let visit = 0; visit < 3; visit++) await hold(served, second, history, way, [`Visit ${visit}.`])
        id.next = 'made for the first again'
        answers.push((await hold(served, first, history, way, ['Go on.'])).answers)
        await served.close()
      }
      t.deepEqual(answers[0], answers[1])
    })
  }
}
