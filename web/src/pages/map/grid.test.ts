import test from 'ava'
import fc from 'fast-check'
import { cellAt, gridOf } from './grid.js'

test('every cell has its place in the grid, and is found there', (t) => {
  const sizes = fc.record({ cells: fc.integer({ min: 1, max: 20_000 }), width: fc.integer({ min: 40, max: 2000 }) })
  const property = fc.property(sizes, fc.nat(), ({ cells, width }, any) => {
    const grid = gridOf(cells, width)
    const index = any % cells
    t.true(grid.columns * grid.rows >= cells)
    t.true(grid.columns * grid.pitch <= Math.max(width, grid.pitch))
    const x = (index % grid.columns) * grid.pitch
    const y = Math.floor(index / grid.columns) * grid.pitch
    t.is(cellAt(grid, cells, x + grid.pitch / 2, y + grid.pitch / 2), index)
  })
  fc.assert(property, { numRuns: 200 })
})

test('beside the cells there is none', (t) => {
  const grid = gridOf(10, 400)
  t.is(cellAt(grid, 10, -1, 2), null)
  t.is(cellAt(grid, 10, grid.columns * grid.pitch + 1, 2), null)
  t.is(cellAt(grid, 10, 2, grid.rows * grid.pitch + 1), null)
})
