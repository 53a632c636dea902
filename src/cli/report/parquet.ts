/** A report as a Parquet file: the columns of CSV with their types, names as they are. */
import { parquetWriteBuffer } from 'hyparquet-writer'
import { flatColumns } from './flat.ts'
import type { Report } from './read.ts'

const types = { text: 'STRING', integer: 'INT64', number: 'DOUBLE' } as const

export function parquetOf(report: Report): Uint8Array {
  const columnData = flatColumns(report).map(({ name, type, values }) => ({
    ...{ name, type: types[type], nullable: true },
    data: type === 'integer' ? values.map((value) => (value === null ? null : BigInt(value))) : [...values],
  }))
  return new Uint8Array(parquetWriteBuffer({ columnData, createdBy: 'tokenweir' }))
}
