// Conversations page by page, as far as someone has scrolled; plain arrays outside Vue's reactivity.

import type { ConversationPage, ConversationRow } from 'attentionstore/protocol'

export type FetchPage = (cursor: string | null) => Promise<ConversationPage>

export class ConversationList {
  private rows: ConversationRow[] = []
  private cursor: string | null = null
  private fetching: Promise<void> | null = null
  private pages = 0
  private wanted = 0
  /** Of the whole list, read or not. */
  total = 0

  /** @param changed Called whenever rows have come. */
  constructor(
    private readonly fetchPage: FetchPage,
    private readonly changed: () => void,
  ) {}

  get length(): number {
    return this.rows.length
  }

  get isWhole(): boolean {
    return this.pages > 0 && this.cursor === null
  }

  row(index: number): ConversationRow | undefined {
    return this.rows[index]
  }

  find(row: Pick<ConversationRow, 'id' | 'tenant'>): ConversationRow | undefined {
    return this.rows.find((found) => isSame(found, row))
  }

  /** Reads pages until row `index` is there or there are no more. Calls join: one page is under way at a time. */
  ensure(index: number): Promise<void> {
    this.wanted = Math.max(this.wanted, index)
    this.fetching ??= this.fetchWanted().finally(() => {
      this.fetching = null
    })
    return this.fetching
  }

  /** Reads the first page again, as long as no later page was read. */
  async refresh(): Promise<void> {
    if (this.fetching !== null || this.pages !== 1) return
    const page = await this.fetchPage(null)
    if (this.fetching !== null || this.pages !== 1) return
    this.rows = page.conversations
    this.take(page)
  }

  replace(row: ConversationRow): void {
    this.rows = this.rows.map((old) => (isSame(old, row) ? row : old))
    this.changed()
  }

  remove(row: Pick<ConversationRow, 'id' | 'tenant'>): void {
    const { length } = this.rows
    this.rows = this.rows.filter((old) => !isSame(old, row))
    this.total -= length - this.rows.length
    this.changed()
  }

  private async fetchWanted(): Promise<void> {
    while (this.rows.length <= this.wanted && !this.isWhole) {
      const page = await this.fetchPage(this.cursor)
      this.pages += 1
      this.rows.push(...page.conversations)
      this.take(page)
    }
  }

  private take({ next_cursor: cursor, total }: ConversationPage): void {
    this.cursor = cursor
    this.total = total
    this.changed()
  }
}

/** Ids are a tenant's own. */
export function isSame(a: Pick<ConversationRow, 'id' | 'tenant'>, b: Pick<ConversationRow, 'id' | 'tenant'>): boolean {
  return a.id === b.id && a.tenant === b.tenant
}
