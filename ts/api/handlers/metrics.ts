import type { Handler } from '../route.js'

/** GET /metrics, in Prometheus' text format. */
export const metrics: Handler = async (_, { telemetry }) => {
  const { text, contentType } = await telemetry.prometheus()
  return { kind: 'text', text, contentType }
}
