import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 40_000,
    hookTimeout: 40_000,
    maxWorkers: 2,
    reporters:
      process.env['TOKENWEIR_TEST_REPORT'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: process.env['TOKENWEIR_TEST_REPORT'] }]],
  },
})
