import test from 'ava'
import { WaitedFor } from '../../ts/scheduler/sequence/waited.js'

test('a request waited for the reason that took longest, and for none if it did not wait', t => {
  t.is(new WaitedFor(5).longest, null)
  const waited = new WaitedFor(0)
  waited.for('room', 10)
  waited.for('room', 30)
  waited.for('history', 50)
  waited.end(65)
  t.is(waited.longest, 'room')
  // The time in the batch is no waiting; back in the queue it waits again.
  waited.again(1000)
  waited.for('history', 1001)
  waited.end(1040)
  t.is(waited.longest, 'history')
})
