import { inject, type InjectionKey } from 'vue'

/** What the shell provides is always there inside it. @throws Error outside. */
export function injected<T>(key: InjectionKey<T>): T {
  const value = inject(key)
  if (value === undefined) throw new Error(`${String(key.description)} is not provided here`)
  return value
}
