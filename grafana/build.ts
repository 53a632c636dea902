/**
 * `npm run grafana`: writes the dashboards, the rules and the manifests of both, from the catalog of metrics. What it writes is committed; a test says when it
 * is not what the code makes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { outputs } from './src/outputs.ts'

for (const [path, text] of outputs()) {
  const file = join(import.meta.dirname, '..', path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  console.log(path)
}
