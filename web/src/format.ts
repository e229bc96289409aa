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
  // A number that rounds to 0 has no sign.
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

/** `43 s`, `12 min`, `3.4 h`: how long something took, or would have taken. */
export function formatDuration(ms: number): string {
  if (ms < 60_000) return formatMs(ms)
  return ms < 3_600_000 ? `${formatNumber(ms / 60_000, 1)} min` : `${formatNumber(ms / 3_600_000, 1)} h`
}

/** `1.2 GB/s`: rates are counted in thousands, as those who make memory and disks do. */
export function formatRate(bytesPerS: number): string {
  const units = ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s']
  const power = bytesPerS < 1 ? 0 : Math.min(Math.floor(Math.log10(bytesPerS) / 3), units.length - 1)
  const value = bytesPerS / 1000 ** power
  return `${formatNumber(value, value < 10 && power > 0 ? 1 : 0)} ${units[power]}`
}

/** `1 turn`, `1,200 turns` */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`
}

/** `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago` */
export function formatAgo(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 2) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return `${formatCount(Math.floor(seconds / 86_400), 'day')} ago`
}

const TIME = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const HOUR = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

/** A time of day as `14:02:09`, where the reader is; of milliseconds since the Unix epoch. */
export const formatTime = (epochMs: number): string => TIME.format(epochMs)

/** `14:02` */
export const formatHour = (epochMs: number): string => HOUR.format(epochMs)

/** Seconds of uptime as `1:02:03` */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
}
