// Conversations longer than their window, on the simulated engine.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { leftOut, viewParameters } from '../../ts/engine/view.js'
import type { ApiError, ExitError } from '../../ts/protocol/errors.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService, type Answer, type SimulatedService } from '../support/simulated-service.js'
import { auto, converse, WINDOW } from '../support/truncated-conversation.js'

const OPTIONS: Partial<ServiceOptions> = { maxContext: 1024, contextWindow: WINDOW }
const SLOTS = { hbm: 24, dram: 60, ssd: 400 }

const view = viewParameters(WINDOW, 0.5, 0)

test('a conversation of ten windows reuses at every turn what the turn before computed and the view still holds', async t => {
  const served = simulatedService({ slots: SLOTS }, OPTIONS)
  let turns = 0
  await converse(() => served, 10, ({ usage }, before) => {
    t.is(reusedTokens(usage) + usage.computedTokens + usage.outsideViewTokens, usage.promptTokens)
    if (before === null) return
    turns++
    // All but the last token of the answer, and what its last bytes may be: they are no characters.
    const computed = before.usage.promptTokens + before.tokens.length - 1
    const known = usage.promptTokens - usage.computedTokens
    t.true(known >= computed - 2 || before.text.includes('\ufffd'), `${known} of ${computed}`)
    t.is(usage.outsideViewTokens, leftOut(view, known))
    t.true(usage.computedTokens < 200)
  })
  t.true(turns > 20)
  await served.close()
})

test('rows that were computed beyond the window serve nobody who sees more than they did', async t => {
  const served = simulatedService({ slots: SLOTS }, OPTIONS)
  const first = Array.from({ length: WINDOW - 30 }, (_, i) => 100 + (i % 90))
  const asked = (tokens: readonly number[], rest: Partial<TurnRequest> = {}): TurnRequest =>
    auto([], { prompt: { kind: 'tokens', tokens: Uint32Array.from(tokens) }, ...rest })
  const known = ({ usage }: Answer): number => usage.promptTokens - usage.computedTokens
  const answer = await ask(served.service, asked(first, { maxTokens: 60 }))
  const history = [...first, ...answer.tokens, 7, 8, 9]
  t.is(known(await ask(served.service, asked(history, { truncation: 'disabled' }))), WINDOW)
  t.true(known(await ask(served.service, asked(history))) > WINDOW)
  await served.close()
})

test('without reuse after a truncation, each one costs what is left of the window', async t => {
  const computedWith = async (reuseAfterTruncation: boolean): Promise<number> => {
    const served = simulatedService({ slots: SLOTS }, { ...OPTIONS, reuseAfterTruncation })
    let computed = 0
    let prompts = 0
    await converse(() => served, 10, ({ usage }) => {
      t.is(reusedTokens(usage) + usage.computedTokens + usage.outsideViewTokens, usage.promptTokens)
      computed += usage.computedTokens
      prompts++
    })
    await served.close()
    return computed / prompts
  }
  const [on, off] = [await computedWith(true), await computedWith(false)]
  t.true(off > on + (WINDOW - view.head - view.step) / 4, `${off} tokens a turn, ${on} with reuse`)
})

test('what runs never holds more hbm than its window, and gives back what it has left behind', async t => {
  const served = simulatedService({ slots: { hbm: WINDOW / 64 + 1, dram: 0, ssd: 0 } }, { maxContext: WINDOW })
  const answer = await ask(served.service, auto([{ role: 'user', content: 'go on '.repeat(20) }], { maxTokens: WINDOW }))
  const again = await ask(served.service, auto([{ role: 'user', content: 'go on '.repeat(20) }], { maxTokens: WINDOW }))
  t.is(answer.tokens.length, WINDOW)
  t.deepEqual(again.tokens, answer.tokens)
  await served.close()
})

test('a history that arrives cold beyond the window computes what its last token sees, and is found again', async t => {
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const other = simulatedService({ slots: SLOTS }, OPTIONS)
  const messages = await converse(() => other, 5)
  await other.close()
  const disk = new SimulatedDisk('disk')
  const open = (): SimulatedService => simulatedService({ slots: SLOTS, disk }, { ...OPTIONS, dataDir })
  let served = open()
  let isFirst = true
  await converse(() => served, 8, async ({ usage }) => {
    t.is(reusedTokens(usage) + usage.computedTokens + usage.outsideViewTokens, usage.promptTokens)
    if (isFirst) {
      t.is(usage.outsideViewTokens, leftOut(view, usage.promptTokens - 1))
      t.is(usage.computedTokens, usage.promptTokens - usage.outsideViewTokens)
    } else {
      t.true(usage.computedTokens < 250, `${usage.computedTokens} computed of ${usage.promptTokens}`)
    }
    isFirst = false
    await served.close()
    served = open()
  }, messages)
  await served.close()
})

test('a whole history is preferred to one that began cold, and they share no block beyond the head', async t => {
  const served = simulatedService({ slots: { hbm: 40, dram: 400, ssd: 0 } }, OPTIONS)
  const messages = await converse(() => served, 3)
  messages.push({ role: 'user', content: 'and then?' })
  const rolled = await ask(served.service, auto(messages))
  const cold = simulatedService({ slots: SLOTS }, { ...OPTIONS, noReuse: true })
  const anew = await ask(cold.service, auto(messages))
  t.is(anew.usage.outsideViewTokens, leftOut(view, anew.usage.promptTokens - 1))
  t.notDeepEqual(anew.tokens, rolled.tokens)
  t.deepEqual((await ask(served.service, auto(messages))).tokens, rolled.tokens)
  await served.close()
  await cold.close()
})

test('what no conversation sees any more is evicted before everything else', async t => {
  const served = simulatedService({ slots: { hbm: 40, dram: 0, ssd: 0 } }, OPTIONS)
  const short: TurnMessage[] = [{ role: 'user', content: 'a short conversation '.repeat(12) }]
  const first = await ask(served.service, auto(short))
  short.push({ role: 'assistant', content: first.text }, { role: 'user', content: 'go on' })
  await converse(() => served, 8)
  const { usage } = await ask(served.service, auto(short))
  t.true(reusedTokens(usage) >= first.usage.promptTokens, 'older than all of the long one, and still there')
  await served.close()
})

test('a prompt longer than the context is refused with both counts unless truncation is asked for', async t => {
  const served = simulatedService({ slots: SLOTS }, OPTIONS)
  const tokens = Uint32Array.from({ length: 1024 }, (_, i) => i % 250)
  const request = chat([], { prompt: { kind: 'tokens', tokens }, maxTokens: 2 })
  const refused = await t.throwsAsync<ApiError>(ask(served.service, request), { code: 'context_length_exceeded' })
  t.deepEqual(refused.context, { prompt_tokens: 1024, max_model_len: 1024 })
  const { usage } = await ask(served.service, { ...request, truncation: 'auto' })
  t.is(usage.promptTokens, 1024)
  t.is(usage.outsideViewTokens, leftOut(view, 1023))
  await served.close()
})

test('a window that is too short for truncation, or longer than the context, is refused', async t => {
  const short = simulatedService({ slots: SLOTS }, { maxContext: 255 })
  await t.throwsAsync(ask(short.service, auto([{ role: 'user', content: 'hello' }])), { code: 'unsupported_parameter' })
  t.is((await ask(short.service, chat([{ role: 'user', content: 'hello' }]))).finish, 'length')
  await short.close()
  for (const contextWindow of [192, 1088]) {
    const error = t.throws<ExitError>(() => simulatedService({ slots: SLOTS }, { maxContext: 1024, contextWindow }), { code: 'window_does_not_fit' })
    t.is(error.exitCode, 2)
  }
})
