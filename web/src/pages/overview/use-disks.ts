// Disks that do not work as they should, in sentences.

import { diskSentence, type DiskCondition } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'

interface DiskLine {
  readonly place: DiskCondition['place']
  readonly text: string
}

export function toDiskLines(disks: readonly DiskCondition[]): DiskLine[] {
  return disks.filter(({ state }) => state !== 'ok').map(({ place, state, reason }) => {
    const sentence = diskSentence({ place, state })
    return { place, text: `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}${reason === null ? '' : `: ${reason}`}.` }
  })
}

export function useDisks(live: Live): ComputedRef<DiskLine[]> {
  return computed(() => toDiskLines(live.sample.value?.disks ?? []))
}
