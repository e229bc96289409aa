// Cells as a grid that fills a width.

export interface Grid {
  readonly columns: number
  readonly rows: number
  /** Side of a cell with its gap, CSS pixels. */
  readonly pitch: number
  readonly gap: number
}

/** The grid gets about this high, whatever the number of cells. */
const HEIGHT_PX = 130
const PITCH = { least: 3, most: 16 }

export function gridOf(cells: number, width: number): Grid {
  const fitting = Math.floor(Math.sqrt((width * HEIGHT_PX) / Math.max(1, cells)))
  const pitch = Math.min(PITCH.most, Math.max(PITCH.least, fitting))
  const columns = Math.max(1, Math.floor(width / pitch))
  return { columns, rows: Math.max(1, Math.ceil(cells / columns)), pitch, gap: pitch > 5 ? 1 : 0 }
}

/** The cell at a point; null: none. */
export function cellAt({ columns, pitch }: Grid, cells: number, x: number, y: number): number | null {
  const column = Math.floor(x / pitch)
  if (x < 0 || y < 0 || column >= columns) return null
  const index = Math.floor(y / pitch) * columns + column
  return index < cells ? index : null
}
