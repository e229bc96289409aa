// The content of a chart.

export interface ChartSeries {
  readonly label: string
  /** Name of a CSS custom property. */
  readonly colour: string
  /** Filled down to the axis: what lies in front hides what lies behind. */
  readonly fill?: boolean
  /** A line that is estimated or a limit, not measured. */
  readonly dashed?: boolean
}

/** Ascending values of the axis across, then one array of equal length a series; null: no value. */
export type ChartData = [number[], ...(number | null)[][]]

/** A band between two series, counted from 1. Without a colour of its own it takes the upper one's fill. */
export interface ChartBand {
  readonly upper: number
  readonly lower: number
  readonly colour?: string
}

/** The drawn series, and the values in the legend where they differ, as with stacked series. */
export interface ChartContent {
  readonly drawn: ChartData
  readonly told: ChartData
}
