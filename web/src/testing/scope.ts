// A component's life for tests of composables: watchers run, and end with it.

import { effectScope } from 'vue'

/** The part of a test that ends what it began. */
interface Ending {
  teardown(end: () => void): void
}

export interface Scoped<T> {
  readonly result: T
  /** As when the component goes. */
  end(): void
}

/** Runs a composable as a component's set-up would; it ends with the test at the latest. */
export function inScope<T>(t: Ending, setUp: () => T): Scoped<T> {
  const scope = effectScope()
  const result = scope.run(setUp) as T
  t.teardown(() => scope.stop())
  return { result, end: () => scope.stop() }
}
