/** What the programs themselves say of their configurations, and the unit tests of the alert rules. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { missingTools, type Tool, toolPath } from '../../scripts/stack-tools.ts'
import { annotationQueries, panelQueries, readDashboards } from './dashboards.ts'
import { alertmanagerPath, recordingRulesPath, root, rulesPath } from './stack.ts'

const run = promisify(execFile)
const alerting = join(root, 'grafana/alerting')
const ruleTests = readdirSync(alerting).filter((name) => name.endsWith('.test.yaml'))

/** What the program printed; fails with it when its exit code is not 0. */
async function says(tool: Tool, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(toolPath(tool) ?? tool, args, { cwd: root })
  return stdout + stderr
}

describe.skipIf(missingTools().length > 0)('the configurations', () => {
  it.each([rulesPath, recordingRulesPath])('are rules that promtool takes, without a lint: %s', async (path) => {
    expect(await says('promtool', 'check', 'rules', '--lint=all', '--lint-fatal', path)).toMatch(/SUCCESS: \d+ rules found/)
  })

  it('has queries in its dashboards that promtool can read', async () => {
    const boards = readDashboards(join(root, 'grafana/dashboards'))
    const queries = boards.flatMap((board) => [...panelQueries(board).map(({ expr }) => expr), ...annotationQueries(board)])
    const folder = mkdtempSync(join(tmpdir(), 'tokenweir-queries-'))
    try {
      const rules = join(folder, 'queries.yaml')
      writeFileSync(
        rules,
        stringify({ groups: [{ name: 'queries', rules: queries.map((expr, index) => ({ record: `query_${index}`, expr })) }] }),
      )
      expect(await says('promtool', 'check', 'rules', '--lint=none', rules)).toContain(`SUCCESS: ${queries.length} rules found`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it.each(ruleTests)(
    'pass the unit tests of %s',
    async (name) => {
      expect(await says('promtool', 'test', 'rules', join(alerting, name))).toContain('SUCCESS')
    },
    600_000,
  )

  it('are one that Prometheus takes', async () => {
    expect(await says('promtool', 'check', 'config', join(root, 'deploy/prometheus/prometheus.yml'))).toContain('is valid')
  })

  it('are one that Alertmanager takes', async () => {
    expect(await says('amtool', 'check-config', alertmanagerPath)).toContain('SUCCESS')
  })

  it('are one that the collector takes without any variable', async () => {
    expect(await says('otelcol', 'validate', '--config', join(root, 'otel-collector.yaml'))).toBe('')
  })
})
