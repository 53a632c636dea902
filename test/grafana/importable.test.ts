import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pages } from '../../grafana/src/dashboards/index.ts'
import { chosenUid } from '../../grafana/src/importable.ts'

const folder = resolve(import.meta.dirname, '../../grafana/import')
const boards = readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }))
const ofData = boards.filter(({ file }) => file !== 'runbook.json')

it('there is one of each dashboard', () => {
  expect(boards.map(({ file }) => file)).toEqual(pages.map(({ name }) => `${name}.json`).sort())
})

describe.each(ofData)('$file, as the import dialog reads it', ({ text }) => {
  const board = JSON.parse(text)

  it('asks for a Prometheus, once', () => {
    expect(board.__inputs).toMatchObject([{ name: 'DS_PROMETHEUS', type: 'datasource', pluginId: 'prometheus' }])
  })

  it('names no data source but that one, Tempo as a variable, and what Grafana computes', () => {
    const uids = new Set<string>()
    JSON.stringify(board, (key, value) => {
      if (key === 'datasource') uids.add(value.uid)
      return value
    })
    expect([...uids].filter((uid) => ![chosenUid, '$tempo', '__expr__'].includes(uid))).toEqual([])
    expect(uids).toContain(chosenUid)
    expect(text).not.toContain('$datasource')
    expect(board.templating.list.map(({ name }: { readonly name: string }) => name)).not.toContain('datasource')
  })

  it('has a new id and the uid to which links lead', () => {
    expect([board.id, board.uid]).toEqual([undefined, expect.stringMatching(/^tokenweir-/)])
  })
})
