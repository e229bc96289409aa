import { shared } from '../../ava.config.js'

export default { ...shared, files: ['test/soak/**/*.test.ts'], concurrency: 1, timeout: '30m' }
