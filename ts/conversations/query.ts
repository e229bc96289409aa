// How a list of conversations is asked for.

/** What a list of conversations is asked for. */
export interface PageQuery {
  /** null: all. */
  readonly tenant: string | null
  /** Part of an id; null: any. */
  readonly text: string | null
  /** Where the page before ended; null: the first page. */
  readonly before: number | null
  readonly limit: number
}
