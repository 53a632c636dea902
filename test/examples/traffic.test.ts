import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startSampleGateway } from '../../examples/sample-gateway/gateway.ts'
import { demoRequests } from '../../examples/sample-gateway/traffic.ts'

const program = join(resolve(import.meta.dirname, '../..'), 'examples/traffic/main.ts')

async function run(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

describe('the traffic', () => {
  it('sends every request of the demo in each round', async () => {
    const gateway = await startSampleGateway()
    const ended = await run(['--to', gateway.url, '--every-ms', '0', '--rounds', '2'])
    const paths = gateway.sent.map(({ path }) => path).sort()
    await gateway.close()
    expect(ended).toEqual({ code: 0, stderr: '' })
    expect(paths).toEqual([...demoRequests, ...demoRequests].map(({ path }) => path.split('?')[0]).sort())
  })

  it('says what is missing', async () => {
    expect(await run([])).toEqual({ code: 2, stderr: expect.stringContaining('--to http://127.0.0.1:4141') })
  })
})
