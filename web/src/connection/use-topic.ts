import type { ServerToClientEvents } from 'attentionstore/protocol'
import { onScopeDispose } from 'vue'
import type { Live, PageTopic } from './use-connection.js'

/** Hears the events of a topic, as long as the component that asks is there. */
export function useTopic<T extends PageTopic>(live: Live, topic: T, handler: ServerToClientEvents[T]): void {
  onScopeDispose(live.listen(topic, handler))
}
