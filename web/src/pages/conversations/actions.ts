// The actions on a conversation, and the outcome of each in a sentence.

import type { ConversationRow, DemoteConversationResponse, EraseReceipt, ForkResponse, LowerTierName, WarmResponse } from 'attentionstore/protocol'
import { formatBytes, formatCount, formatNumber } from '../../format.js'
import type { HttpClient } from '../../http/client.js'

type Target = Pick<ConversationRow, 'id' | 'tenant'>

function pathOf({ id, tenant }: Target, action = ''): string {
  const parameters = tenant === '' ? '' : `?${new URLSearchParams({ tenant })}`
  return `/admin/conversations/${encodeURIComponent(id)}${action}${parameters}`
}

const post = <T>(http: HttpClient, path: string, body: unknown = {}) => http.json<T>(path, { method: 'POST', body })

export async function warm(http: HttpClient, target: Target): Promise<string> {
  const receipt = await post<WarmResponse>(http, pathOf(target, '/warm'))
  const { promoted_blocks: promoted, loaded_blocks: loaded, blocks } = receipt
  if (blocks === 0) return 'None of its blocks is kept any more: the next turn computes everything.'
  return `${formatCount(promoted, 'block')} read from ssd, ${formatNumber(loaded)} loaded to hbm. ${whereNow(receipt.tiers)}`
}

/** Why not all of it is in hbm, where not all of it is. */
function whereNow(tiers: WarmResponse['tiers']): string {
  const below = tiers.dram > 0 ? `, ${formatNumber(tiers.dram)} in dram: hbm takes whole blocks, into slots that are free` : ''
  const left = tiers.ssd > 0 ? `, ${formatNumber(tiers.ssd)} left on ssd: dram has no room for more` : ''
  return `Now ${formatNumber(tiers.hbm)} in hbm${below}${left}.`
}

export async function demote(http: HttpClient, target: Target, to: LowerTierName): Promise<string> {
  const receipt = await post<DemoteConversationResponse>(http, pathOf(target, '/demote'), { to })
  const { demoted_blocks: demoted, skipped_in_use: inUse, skipped_shared: shared } = receipt
  const left = [inUse > 0 ? `${formatNumber(inUse)} in use` : '', shared > 0 ? `${formatNumber(shared)} shared with others` : '']
  const skipped = left.filter(Boolean).join(', ')
  return `${formatCount(demoted, 'block')} moved down to ${to}${skipped ? `; left where they are: ${skipped}` : ''}.`
}

export async function fork(http: HttpClient, target: Target): Promise<string> {
  const { conversation, shared_blocks: shared } = await post<ForkResponse>(http, pathOf(target, '/fork'))
  return `Forked as ${conversation}: both share ${formatCount(shared, 'block')}. Send this id as "conversation" with the whole history.`
}

export function erase(http: HttpClient, target: Target): Promise<EraseReceipt> {
  return http.json<EraseReceipt>(pathOf(target), { method: 'DELETE' })
}

/** The erased blocks and those that stay, a sentence each. */
export function receiptLines(receipt: EraseReceipt): readonly string[] {
  const { blocks_erased, bytes_erased, tiers, remains_overwritten, records_erased, responses_erased, requests_anonymised, kept_shared, durable } = receipt
  const copies = Object.entries(tiers).map(([tier, count]) => `${formatNumber(count)} in ${tier}`)
  return [
    `${formatCount(blocks_erased, 'block')} erased, ${formatBytes(bytes_erased)} of copies: ${copies.join(', ')}.`,
    `${formatCount(remains_overwritten, 'free slot')} on ssd with older blocks of it overwritten.`,
    `${formatCount(records_erased, 'token record')} of answers and ${formatCount(responses_erased, 'kept response')} erased; ${formatCount(requests_anonymised, 'request record')} ${requests_anonymised === 1 ? 'names' : 'name'} it no longer.`,
    kept_shared.length === 0
      ? 'No block stays: no other conversation used one.'
      : kept_shared.length === 1
        ? '1 block stays, because other conversations use it.'
        : `${formatCount(kept_shared.length, 'block')} stay, because other conversations use them.`,
    ...(durable ? [] : ['The disk of the store takes nothing now: records of the conversation leave it when it does.']),
  ]
}
