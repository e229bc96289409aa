import test from 'ava'
import { firstSteps } from './first-steps.js'
import { todayWords } from './use-today.js'

const NOW = new Date(2026, 3, 5, 15, 30).getTime()
const MIDNIGHT = new Date(2026, 3, 5).getTime()
const LONG_AGO = new Date(2026, 2, 1).getTime()
const day = { sinceMs: MIDNIGHT, promptTokens: 2000, reusedTokens: 1500, savedMs: 90_000 }

test('the day’s line says how much came from the cache and what it saved', (t) => {
  t.deepEqual(todayWords(day, LONG_AGO, NOW), { when: 'Today', share: '75 %', rest: 'of 2,000 prompt tokens came from the cache, which saved about 1.5 min of computing.' })
})

test('a server that started today counts from its start, and says so', (t) => {
  const started = new Date(2026, 3, 5, 14, 2, 10).getTime()
  t.is(todayWords({ ...day, sinceMs: started + 900 }, started, NOW).when, 'Since the server started at 14:02')
})

test('a midnight elsewhere is told as the hour that it is here', (t) => {
  t.is(todayWords({ ...day, sinceMs: MIDNIGHT + 7_200_000 }, LONG_AGO, NOW).when, 'Since 02:00')
})

test('nothing saved is not told as a saving', (t) => {
  t.is(todayWords({ ...day, reusedTokens: 0, savedMs: 0 }, LONG_AGO, NOW).rest, 'of 2,000 prompt tokens came from the cache.')
  t.is(todayWords({ ...day, savedMs: 0 }, LONG_AGO, NOW).rest, 'of 2,000 prompt tokens came from the cache.')
  t.deepEqual(todayWords({ ...day, promptTokens: 0, reusedTokens: 0 }, LONG_AGO, NOW).share, '')
})

test('the first steps have the address under which the page was found, and the model’s name', (t) => {
  const { baseUrl, curl, chat } = firstSteps('https://host/under/here/', { models: ["it's"] })
  t.is(baseUrl, 'https://host/under/here/v1')
  t.is(chat, 'attentionstore chat --url https://host/under/here')
  t.true(curl.startsWith("curl https://host/under/here/v1/chat/completions -H 'content-type: application/json' -d '{\"model\":\"it"))
  t.true(curl.includes(String.raw`it'\''s`))
  t.is(firstSteps('http://localhost:8000/', { models: [] }).baseUrl, 'http://localhost:8000/v1')
})
