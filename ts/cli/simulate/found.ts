// What `simulate` has to tell, with --capacity and without.

/** The results of a simulation: lines for the terminal, a list of objects, a page. */
export interface Found {
  readonly text: string
  readonly results: readonly object[]
  page(name: string): string
}
