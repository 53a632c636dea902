import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The running product under real faults. Minutes, and one at a time: each loads the machine as it needs. `test/faults/README.md` says how long. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/faults/**/*.fault.test.ts'],
    exclude: ['**/node_modules/**'],
    testTimeout: 60 * 60_000, // each scenario bounds its own steps
    fileParallelism: false,
  },
})
