// Accessibility rules, checked in the page itself.

import axe, { type AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

/** Each violation with the elements that break it, in a line; empty: none. */
export async function violationsOf(page: Page): Promise<string[]> {
  // Sent through the debugger: the content policy lets no other script in.
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })')
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
}
