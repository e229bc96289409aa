import test from 'ava'
import type { Topic } from 'attentionstore/protocol'
import { Topics } from './topics.js'

test('the server is told of a topic when the first looks, and that it ends when the last looks away', (t) => {
  const told: (readonly Topic[])[] = []
  const topics = new Topics((list) => told.push(list))
  const closeOverview = topics.open('overview')
  const closeFirst = topics.open('map')
  const closeSecond = topics.open('map')
  closeFirst()
  closeFirst()
  t.deepEqual(told, [['overview'], ['overview', 'map']])
  closeSecond()
  closeOverview()
  t.deepEqual(told.slice(2), [['overview'], []])
})
