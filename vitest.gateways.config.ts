import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The tests with real gateways: they need `npm run gateways:install`, and minutes. */
export default defineConfig({
  test: { ...base.test, include: ['test/gateways/**/*.gate.test.ts'], exclude: ['**/node_modules/**'] },
})
