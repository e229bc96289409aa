// The cache's own controls, as a test uses them.

import type { CacheStatusBody, TierName } from '../../ts/protocol/index.js'
import type { TestServer } from './server.js'

export async function cacheStatus(server: TestServer): Promise<CacheStatusBody> {
  const response = await server.get('/admin/cache')
  if (!response.ok) throw new Error(`GET /admin/cache: ${response.status} ${await response.text()}`)
  return (await response.json()) as CacheStatusBody
}

/** Leaves no copy above `to`; blocks in use would be skipped, so this is for an idle server. */
export async function demoteAll(server: TestServer, to: Exclude<TierName, 'hbm'>): Promise<void> {
  const response = await server.post('/admin/cache/demote', { to })
  if (!response.ok) throw new Error(`POST /admin/cache/demote: ${response.status} ${await response.text()}`)
}

/** Sum of a Prometheus metric's samples that carry `labels` (all of them, if empty); null where there is none. */
export async function metric(server: TestServer, name: string, labels = ''): Promise<number | null> {
  const text = await (await server.get('/metrics')).text()
  const values = text
    .split('\n')
    .filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(labels))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0)
}

/** The same, where a missing metric is an error. */
export async function metricWith(server: TestServer, name: string, labels = ''): Promise<number> {
  const value = await metric(server, name, labels)
  if (value === null) throw new Error(`/metrics has no ${name}{${labels}}`)
  return value
}

/** Tiers whose used bytes or blocks exceed their bound, in words. */
export function brokenBounds(status: CacheStatusBody): string[] {
  return status.tiers.flatMap((tier) => {
    const { total, running, cached } = tier.blocks
    const counts = `${tier.name}: ${tier.used_bytes} of ${tier.capacity_bytes} bytes, ${total} of ${tier.capacity_blocks} blocks`
    const broken = tier.used_bytes > tier.capacity_bytes || total > tier.capacity_blocks || running + cached !== total
    return broken ? [`${counts} (${running} running, ${cached} cached)`] : []
  })
}
