// Failed logins, counted by address: who fails too often waits.

import { isIPv6 } from 'node:net'

/** Failures of one address in one window. */
const MOST_FAILURES = 10
const WINDOW_MS = 60_000
/** Addresses that are remembered; the one that failed longest ago is forgotten first. */
const MOST_ADDRESSES = 1024

interface Failures {
  readonly since: number
  count: number
}

export class FailedAttempts {
  readonly #failures = new Map<string, Failures>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  get addresses(): number {
    return this.#failures.size
  }

  /** Seconds until the address may try again; 0: it may now. */
  waitSeconds(address: string): number {
    const failures = this.#failures.get(networkOf(address))
    if (failures === undefined || failures.count < MOST_FAILURES) return 0
    return Math.max(0, Math.ceil((failures.since + WINDOW_MS - this.#now()) / 1000))
  }

  failed(address: string): void {
    const network = networkOf(address)
    const before = this.#failures.get(network)
    const isSameWindow = before !== undefined && this.#now() - before.since < WINDOW_MS
    this.#failures.delete(network)
    this.#failures.set(network, isSameWindow ? { since: before.since, count: before.count + 1 } : { since: this.#now(), count: 1 })
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= MOST_ADDRESSES) return
      this.#failures.delete(oldest)
    }
  }

  succeeded(address: string): void {
    this.#failures.delete(networkOf(address))
  }
}

/** An IPv4 address, or the /64 network of an IPv6 one, which is what one customer gets. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? []
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::') ? Array.from({ length: 8 - groups.length - rest.length }, () => '0') : []
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':')
}
