import { shared } from '../../ava.config.js'

export default { ...shared, files: ['test/e2e/**/*.test.ts'], concurrency: 1, timeout: '12m' }
