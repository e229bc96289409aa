// What every AVA suite shares. `npx ava FILE` uses this; the suites of `make test` narrow it in test/ava/.
export const shared = {
  extensions: { ts: 'module' },
  nodeArguments: ['--import=tsx'],
  // The addon is loaded on a main thread only.
  workerThreads: false,
  timeout: '3m',
}

export default {
  ...shared,
  files: ['ts/**/*.test.ts', 'web/src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts', '!ts/dist/**'],
}
