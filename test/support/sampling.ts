// Sampling parameters that several suites share.

export { GREEDY as greedy } from '../../ts/engine/sampling.js'
