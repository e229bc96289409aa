// Whether the page is narrow, as on a phone: the bound of the style sheets.

import { onScopeDispose, shallowRef, type ShallowRef } from 'vue'

export function useNarrow(): Readonly<ShallowRef<boolean>> {
  const query = window.matchMedia('(max-width: 900px)')
  const isNarrow = shallowRef(query.matches)
  const follow = () => {
    isNarrow.value = query.matches
  }
  query.addEventListener('change', follow)
  onScopeDispose(() => query.removeEventListener('change', follow))
  return isNarrow
}
