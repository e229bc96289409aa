// Azure's CSV: arrivals and lengths, no content. Every prompt is its own: nothing is ever reused.

import { BLOCK_TOKENS } from '../../engine/types.js'
import { promptOnly, type TraceFormat } from './format.js'

const HEADING = 'TIMESTAMP,ContextTokens,GeneratedTokens'
const ROW = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?,(\d{1,9}),(\d{1,9})$/

export const azure: TraceFormat = {
  name: 'Azure',
  blockTokens: BLOCK_TOKENS,
  open: ({ ids }) => (value) => {
    if (value === HEADING) return []
    const row = typeof value === 'string' ? ROW.exec(value) : null
    if (!row) return null
    const [, date, time, fraction = '', input, output] = row
    const atMs = Date.parse(`${date}T${time}Z`) + Number(`0${fraction}`) * 1000
    const inputTokens = Number(input)
    const blocks = ids.fresh(Math.ceil(inputTokens / BLOCK_TOKENS))
    return Number.isNaN(atMs) ? null : [promptOnly(atMs, inputTokens, Number(output), blocks, BLOCK_TOKENS)]
  },
}
