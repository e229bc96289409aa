// What `simulate` has to tell, with --capacity and without.

/** What a simulation found: lines for the terminal, a list of objects, a page. */
export interface Found {
  readonly text: string
  readonly results: readonly object[]
  page(name: string): string
}
