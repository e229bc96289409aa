// JSON texts that say the same are one text: keys in order, no white space, and numbers in one notation, to the last digit.

/** Deeper values are compared as they were written. */
const MAX_DEPTH = 128
/** A string, or a number outside of strings. */
const ATOM = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** Of what is no JSON, or too deep, the text itself, told apart from every JSON. No text is that of an object without members. */
export function canonicalJson(text: string): string {
  if (text.trim() === '') return '{}'
  try {
    JSON.parse(text)
    return written(JSON.parse(text.replace(ATOM, tagged)), 0)
  } catch {
    return `?${text}`
  }
}

/** A value that is JSON already. */
export function canonicalValue(value: unknown): string {
  return canonicalJson(JSON.stringify(value))
}

/** Numbers as strings that keep every digit, and strings told apart from them. */
function tagged(atom: string): string {
  return atom.startsWith('"') ? `"s${atom.slice(1)}` : `"n${canonicalNumber(atom)}"`
}

/** Digits without zeros at either end, and the power of ten of the last one. */
function canonicalNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  let end = digits.length
  while (digits[end - 1] === '0') end--
  const kept = digits.slice(0, end)
  if (kept === '') return '0'
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - kept.length)
  return `${sign}${kept}e${power}`
}

function written(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new RangeError('too deep')
  if (Array.isArray(value)) return `[${value.map((item) => written(item, depth + 1)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${written(member, depth + 1)}`).join(',')}}`
}
