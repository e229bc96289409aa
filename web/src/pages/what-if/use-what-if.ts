import type { WhatIf } from 'attentionstore/protocol'
import { shallowRef, type ShallowRef } from 'vue'
import { useTopic } from '../../connection/use-topic.js'
import type { Live } from '../../connection/use-connection.js'

/** The newest curves. */
export function useWhatIf(live: Live): Readonly<ShallowRef<WhatIf | null>> {
  const whatIf = shallowRef<WhatIf | null>(null)
  useTopic(live, 'what-if', (next) => {
    whatIf.value = next
  })
  return whatIf
}
