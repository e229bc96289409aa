import type { DiskList } from '../../protocol/index.js'
import { json } from '../../surfaces/surface.js'
import type { Handler } from '../route.js'

/** GET /admin/disks */
export const listDisks: Handler = (_, { telemetry }) => {
  const body: DiskList = {
    disks: telemetry.disks().map(({ place, state, reason, since, lostLines }) => ({
      place,
      state,
      reason,
      since_ms: Math.round(since),
      ...(lostLines === undefined ? {} : { lost_lines: lostLines }),
    })),
  }
  return json(body)
}
