import { shared } from '../../ava.config.js'

export default { ...shared, files: ['test/tidy/**/*.test.ts'] }
