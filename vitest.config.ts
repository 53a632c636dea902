import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // With real gateways, the real stack or a real browser, by configurations of their own.
    exclude: ['test/browser/**', 'test/gateways/**', 'test/stack/**', '**/node_modules/**'],
    testTimeout: 40_000,
    hookTimeout: 40_000,
    maxWorkers: 2,
    reporters:
      process.env['TOKENWEIR_TEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['TOKENWEIR_TEST_REPORT'] }]],
  },
})
