import { diag } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { installDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { createLineLimit } from '../../src/telemetry/line-limit.ts'

function limited() {
  const lines: string[] = []
  let moment = 0
  const limit = createLineLimit({ write: (line) => lines.push(line), now: () => moment })
  return { lines, limit, at: (ms: number) => (moment = ms) }
}

describe('a line for stderr', () => {
  it('is written once a minute, with how often it came', () => {
    const { lines, limit, at } = limited()
    limit('away')
    for (let second = 1; second < 60; second++) {
      at(second * 1000)
      limit('away')
    }
    at(60_000)
    limit('away')
    at(120_000)
    limit('away')
    expect(lines).toEqual(['away', 'away (and 59 more like it)', 'away'])
  })

  it('cannot flood by being different each time', () => {
    const { lines, limit } = limited()
    for (let index = 0; index < 100_000; index++) limit(`line ${index}`)
    expect(lines).toHaveLength(101)
  })
})

describe('the diagnostics of the SDK', () => {
  it('become one sentence, without the stack', () => {
    const lines: string[] = []
    installDiagnostics(undefined, (line) => lines.push(line))
    diag.error(JSON.stringify({ stack: 'Error: connect ECONNREFUSED\n    at …', message: 'connect ECONNREFUSED', name: 'Error' }))
    diag.warn('Dropping', new Error('x'), { a: 1 })
    diag.info('not shown')
    diag.disable()
    expect(lines).toEqual(['OpenTelemetry error: connect ECONNREFUSED', 'OpenTelemetry warning: Dropping x { a: 1 }'])
  })

  it('show as much as OTEL_LOG_LEVEL says', () => {
    const lines: string[] = []
    installDiagnostics('INFO', (line) => lines.push(line))
    diag.info('shown')
    diag.debug('not shown')
    diag.disable()
    expect(lines).toEqual(['OpenTelemetry info: shown'])
  })
})
