// What a chart draws.

export interface ChartSeries {
  readonly label: string
  /** Name of a CSS custom property. */
  readonly colour: string
  /** Single values, where a line would bridge what was not measured. */
  readonly points?: boolean
}

/** Times in seconds, then one array of equal length a series; null: no value. */
export type ChartData = [number[], ...(number | null)[][]]
