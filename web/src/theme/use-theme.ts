// Light, dark, or as the system says; remembered in the browser.

import { onScopeDispose, ref, shallowRef, watchEffect, type Ref } from 'vue'

export type Theme = 'system' | 'light' | 'dark'

export const THEMES: ReadonlyArray<{ readonly value: Theme; readonly label: string }> = [
  { value: 'system', label: 'Auto' },
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
]
const STORAGE_KEY = 'attentionstore.theme'

function storedTheme(): Theme {
  const stored = localStorage.getItem(STORAGE_KEY)
  return THEMES.find(({ value }) => value === stored)?.value ?? 'system'
}

export interface ThemeChoice {
  readonly theme: Readonly<Ref<Theme>>
  /** The theme on the page: the system's own where `theme` is `system`. */
  readonly shown: Readonly<Ref<'light' | 'dark'>>
  choose(theme: Theme): void
}

export function useTheme(): ThemeChoice {
  const theme = ref<Theme>(storedTheme())
  const shown = ref<'light' | 'dark'>('light')
  const query = matchMedia('(prefers-color-scheme: dark)')
  const systemDark = shallowRef(query.matches)
  const follow = (event: MediaQueryListEvent) => {
    systemDark.value = event.matches
  }
  query.addEventListener('change', follow)
  onScopeDispose(() => query.removeEventListener('change', follow))

  watchEffect(() => {
    const system = systemDark.value ? 'dark' : 'light'
    shown.value = theme.value === 'system' ? system : theme.value
    document.documentElement.dataset['theme'] = shown.value
    localStorage.setItem(STORAGE_KEY, theme.value)
  })
  return {
    theme,
    shown,
    choose: (next) => {
      theme.value = next
    },
  }
}
