// Numbers as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.5 GiB` */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  const value = bytes / 1024 ** power
  return `${formatNumber(value, value < 10 && power > 0 ? 1 : 0)} ${UNITS[power]}`
}

export function formatNumber(value: number, digits = 0): string {
  const text = value.toLocaleString('en', { maximumFractionDigits: digits })
  // What rounds to nothing has no sign.
  return /^-0(\.0+)?$/.test(text) ? text.slice(1) : text
}

/** `43.2 %`; a dash where nothing was counted yet. */
export function formatShare(part: number, whole: number): string {
  return whole > 0 ? `${formatNumber((100 * part) / whole, 1)} %` : '–'
}

/** `850 ms` or `2.1 s`; a dash for none. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '–'
  return ms < 1000 ? `${formatNumber(ms, ms < 10 ? 1 : 0)} ms` : `${formatNumber(ms / 1000, 1)} s`
}

/** Seconds of uptime as `1:02:03` */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
}
