import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // With real gateways, a real browser, the real stack or real faults, by configurations of their own.
    exclude: ['test/gateways/**', 'test/browser/**', 'test/stack/**', 'test/faults/**', '**/node_modules/**'],
    testTimeout: 40_000,
    hookTimeout: 40_000,
    maxWorkers: 2,
    reporters:
      process.env['TOKENWEIR_TEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['TOKENWEIR_TEST_REPORT'] }]],
  },
})
