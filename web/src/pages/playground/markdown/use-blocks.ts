// The blocks of a text that may still grow, drawn at the pace that the machine bears.

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import { takenShare, type Pace } from './pace.js'

export interface Blocks {
  update(text: string, isWhole: boolean): readonly string[]
}

/**
 * HTML of each block; null until the renderer is there, and if it cannot be had: the text can then be shown as it is.
 * @param load The renderer, which is loaded with the first answer.
 */
export function useBlocks(
  text: () => string,
  isWhole: () => boolean,
  load: () => Promise<Blocks>,
): Readonly<ShallowRef<readonly string[] | null>> {
  const html = shallowRef<readonly string[] | null>(null)
  let pace: Pace | null = null
  let isOver = false

  async function begin(): Promise<void> {
    const blocks = await load().catch(() => null)
    if (isOver || blocks === null) return
    pace = takenShare(() => {
      html.value = blocks.update(text(), isWhole())
    })
    pace.now()
  }

  watch([text, isWhole], () => (isWhole() ? pace?.now() : pace?.soon()))
  onScopeDispose(() => {
    isOver = true
    pace?.stop()
  })
  void begin()
  return html
}
