/**
 * Damaged recordings through every framer, format and decoder, and a share of them through the proxy:
 *
 *   npm run fuzz -- --count 1000000 --seed 7 [--corpus DIR] [--only INDEX]
 *
 * `--corpus` takes a folder of recorded exchanges instead of the project's own fixtures; `--only` runs one case again.
 */
import { parseArgs } from 'node:util'
import { fuzz, growth } from '../test/fuzz/fuzz.ts'
import { corpusRecordings } from '../test/recordings/corpus.ts'
import { ownRecordings } from '../test/recordings/recording.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    corpus: { type: 'string' },
    only: { type: 'string' },
  },
})
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
const only = values.only === undefined ? undefined : Number(values.only)
const count = only === undefined ? Number(values.count) : 1
if (![seed, count, only ?? 0].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  process.stderr.write('--count, --seed and --only are whole numbers.\n')
  process.exit(2)
}

/** Growth after garbage collection that a run of any length may show. */
const growthBytesMax = 24 * 1024 * 1024
const pool = values.corpus === undefined ? ownRecordings() : corpusRecordings(values.corpus)
const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`
process.stdout.write(`${count} cases out of ${pool.length} recordings, seed ${seed}\n`)

const started = performance.now()
const seconds = () => (performance.now() - started) / 1000
const isTerminal = process.stdout.isTTY === true
const { done, failure, memory } = await fuzz({
  pool,
  seed,
  first: only ?? 0,
  count,
  onProgress: (cases) => {
    if (isTerminal) process.stdout.write(`\r${cases} of ${count}, ${Math.round(cases / seconds())} a second `)
  },
})
if (isTerminal) process.stdout.write('\r\x1b[K')

const grown = growth(memory)
process.stdout.write(`${done} cases in ${seconds().toFixed(1)} s; memory in use at each tenth: ${memory.map(mebibytes).join(', ')}\n`)
if (failure !== undefined) {
  const again = `npm run fuzz -- --seed ${seed} --only ${failure.index}${values.corpus === undefined ? '' : ` --corpus ${values.corpus}`}`
  process.stdout.write(`Case ${failure.index} broke: ${failure.error.stack ?? failure.error.message}\nAgain: ${again}\n`)
}
if (grown > growthBytesMax) process.stdout.write(`Memory has grown by ${mebibytes(grown)}.\n`)
process.exit(failure !== undefined || grown > growthBytesMax ? 1 : 0)
