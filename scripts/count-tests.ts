/** Adds up the test runners' own reports (Vitest's JSON) into the closing line of `.ci/run`. Fails when one failed, was skipped, or none ran. */
import { readFileSync } from 'node:fs'

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

let passed = 0
let failed = 0
let skipped = 0
for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  passed += report.numPassedTests
  // A file that does not load, or an error between tests, fails the run without failing a test.
  failed += report.success ? 0 : Math.max(1, report.numFailedTests)
  skipped += report.numPendingTests + report.numTodoTests
}
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exit(failed > 0 || skipped > 0 || passed === 0 ? 1 : 0)
