import { shared } from '../../ava.config.js'

export default { ...shared, files: ['test/clients/*.test.ts'], concurrency: 2, serial: true }
