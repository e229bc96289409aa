import { shared } from '../../ava.config.js'

export default { ...shared, files: ['test/contracts/**/*.test.ts'], concurrency: 1, timeout: '12m' }
