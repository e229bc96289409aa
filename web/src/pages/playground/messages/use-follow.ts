// A list that grows at its end: it follows while its end is in sight, and stays where its reader is otherwise.

import { nextTick, onScopeDispose, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

/** Nearer to the end than this is at the end. */
const NEAR_PX = 60

export interface Follow {
  readonly isAtEnd: Readonly<ShallowRef<boolean>>
  toEnd(): void
}

/**
 * @param list The element that scrolls.
 * @param content Its child, whose height changes.
 * @param begun What else than growth leads to the end, a new question for instance.
 */
export function useFollow(list: Readonly<Ref<HTMLElement | null>>, content: Readonly<Ref<HTMLElement | null>>, begun: () => unknown): Follow {
  const isAtEnd = shallowRef(true)
  const toEnd = () => {
    if (list.value) list.value.scrollTop = list.value.scrollHeight
  }
  const look = () => {
    const element = list.value
    if (element) isAtEnd.value = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX
  }
  // Its own height changes too: the form below grows with a long question.
  const sizes = new ResizeObserver(() => (isAtEnd.value ? toEnd() : look()))
  watch([list, content], ([listed, held]) => {
    sizes.disconnect()
    if (listed) sizes.observe(listed)
    if (held) sizes.observe(held)
    listed?.addEventListener('scroll', look, { passive: true })
  })
  watch(begun, async () => {
    await nextTick()
    isAtEnd.value = true
    toEnd()
  })
  onScopeDispose(() => sizes.disconnect())
  return { isAtEnd, toEnd }
}
