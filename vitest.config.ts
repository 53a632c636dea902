import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // With real gateways, other proxies, a real browser, the real stack or real faults, by configurations of their own.
    exclude: ['test/gateways/**', 'test/conformance/**', 'test/browser/**', 'test/stack/**', 'test/faults/**', '**/node_modules/**'],
    // Only for what never comes: a busy machine takes its time, and nothing here is quicker for a shorter wait.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
    reporters:
      process.env['TOKENWEIR_TEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['TOKENWEIR_TEST_REPORT'] }]],
  },
})
