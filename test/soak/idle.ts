// An idle server: asked again, over connections that do not stay open, until what was cut off has ended.

import { request } from 'node:http'
import type { CacheStatusBody } from '../../ts/protocol/index.js'
import { openHandles } from '../support/process.js'
import type { TestServer } from '../support/server.js'

/** Requests while clients' idle connections and requests just cut off come to their end. */
const SETTLE_REQUESTS = 20_000

export interface Idle {
  readonly handles: number
  readonly runningBlocks: number
}

/** GET over a connection of its own, closed when this resolves. */
async function getAlone(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('close', () => resolve(text))
    })
    sent.once('error', reject)
    sent.end()
  })
}

async function look(server: TestServer): Promise<Idle> {
  const { tiers } = JSON.parse(await getAlone(`${server.url}/admin/cache`)) as CacheStatusBody
  return { handles: openHandles(server.pid), runningBlocks: tiers.reduce((sum, { blocks }) => sum + blocks.running, 0) }
}

/** The most handles that a server which has just started is seen with: its own, and the one that asks. */
export async function startingHandles(server: TestServer): Promise<number> {
  const looks: number[] = []
  for (let request = 0; request < 50; request += 1) looks.push((await look(server)).handles)
  return Math.max(...looks)
}

/** Looks until the server has no more than `handles` and no block in use, or enough is enough. */
export async function settled(server: TestServer, handles: number): Promise<Idle> {
  let idle = await look(server)
  for (let request = 0; request < SETTLE_REQUESTS; request += 1) {
    if (idle.handles <= handles && idle.runningBlocks === 0) break
    idle = await look(server)
  }
  return idle
}
