// The last gate before the page: elements and attributes of formatted text, and nothing else.

import createPurifier from 'dompurify'

const TAGS = [
  ...['a', 'p', 'br', 'hr', 'div', 'span', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'button'],
  ...['ul', 'ol', 'li', 'blockquote', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
]
/** Attributes whose values are no addresses. */
const PLAIN_ATTRIBUTES = ['title', 'class', 'start', 'align', 'type', 'tabindex', 'role', 'aria-label']
/** Absolute addresses only: a link never leads to a route of this server. */
const ADDRESSES = /^(?:https?:\/\/|mailto:)/i

const purifier = createPurifier(window)
purifier.addHook('afterSanitizeAttributes', (element) => {
  if (element.tagName !== 'A') return
  // The new window knows neither this page nor its address.
  element.setAttribute('rel', 'noopener noreferrer')
  element.setAttribute('target', '_blank')
})

export function sanitised(html: string): string {
  return purifier.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ['href', ...PLAIN_ATTRIBUTES],
    ADD_URI_SAFE_ATTR: PLAIN_ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: ADDRESSES,
  })
}
