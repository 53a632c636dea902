import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The tests with the real collector, Prometheus and Alertmanager: they need `npm run stack:install`, and minutes. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/stack/**/*.stack.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
  },
})
