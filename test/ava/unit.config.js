import { shared } from '../../ava.config.js'

export default {
  ...shared,
  files: ['ts/**/*.test.ts', 'web/src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/unit/**/*.test.ts', '!ts/dist/**'],
  concurrency: 2,
}
