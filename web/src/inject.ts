import { inject, type InjectionKey } from 'vue'

/** A value that the shell provides: always there inside it. @throws Error outside. */
export function injected<T>(key: InjectionKey<T>): T {
  const value = inject(key)
  if (value === undefined) throw new Error(`${String(key.description)} is not provided here`)
  return value
}
