import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The live page in Chromium: Debian's package, or the one that TOKENWEIR_CHROMIUM names. Without one they are skipped, loudly. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/browser/**/*.browser.test.ts'],
    exclude: ['**/node_modules/**'],
    // Browsers are slow beside other work; nothing here measures time.
    testTimeout: 240_000,
    maxWorkers: 1,
  },
})
