import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** Odd requests and hostile answers, byte by byte, to the running product and beside it to nginx and haproxy. `test/conformance/README.md`. */
export default defineConfig({
  test: { ...base.test, include: ['test/conformance/**/*.conformance.test.ts'], exclude: ['**/node_modules/**'] },
})
