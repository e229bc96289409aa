// The HTTP API over a service on the simulated engine, on a clock that does not wait.

import { simulatedService, type SimulatedService } from '../../support/simulated-service.js'
import type { AccessControl } from '../../../ts/auth/access-control.js'
import { openApiOver, type OpenedApi } from './api.js'

export interface SimulatedApi extends OpenedApi, Pick<SimulatedService, 'service' | 'clock'> {}

export async function openSimulatedApi(
  t: { teardown: (close: () => Promise<void>) => void },
  options: Parameters<typeof simulatedService>[1] = {},
  auth?: AccessControl,
  engineOptions: Parameters<typeof simulatedService>[0] = {},
): Promise<SimulatedApi> {
  const { service, engine, clock, close } = simulatedService({ slots: { hbm: 256, dram: 256, ssd: 512 }, ...engineOptions }, options)
  const api = await openApiOver(service, engine, { maxBodyBytes: 2 ** 20 }, auth)
  t.teardown(async () => {
    await api.close()
    await close()
  })
  return { ...api, service, clock }
}
