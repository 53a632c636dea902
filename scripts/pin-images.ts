/**
 * `npm run images:pin`: writes the digest behind each image's tag into the Dockerfile, docker-compose.yml and the Kubernetes manifests
 * (`name:tag@sha256:…`), so that a tag that is moved changes nothing. Needs docker with buildx, and the images' registries within reach. Run it again
 * after a change of a tag. Images that are built here have no digest.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(import.meta.dirname, '..')

/** From the root of the project. */
export const filesWithImages = [
  'Dockerfile',
  'docker-compose.yml',
  ...readdirSync(join(root, 'deploy/kubernetes'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `deploy/kubernetes/${name}`),
]

/** The text with every image of others at the digest that `digestOf` gives for its name and tag. */
export function pinned(text: string, digestOf: (image: string) => string): string {
  return text.replace(/^(# syntax=|\s*(?:FROM|image:)\s+)(?!tokenweir)([^\s@]+:[^\s@]+)(?:@\S+)?/gm, (_, before: string, image: string) => {
    return `${before}${image}@${digestOf(image)}`
  })
}

/** Asks the image's registry for the digest of all its platforms together. */
function ask(image: string): string {
  const answer = execFileSync('docker', ['buildx', 'imagetools', 'inspect', '--format', '{{json .Manifest}}', image], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { digest } = JSON.parse(answer) as { digest?: string }
  if (!/^sha256:[0-9a-f]{64}$/.test(digest ?? '')) throw new Error(`docker names no digest of ${image}`)
  return digest as string
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const known = new Map<string, string>()
  const digestOf = (image: string) => {
    const digest = known.get(image) ?? ask(image)
    known.set(image, digest)
    return digest
  }
  try {
    // All are asked for before the first is written.
    const texts = filesWithImages.map((name) => [join(root, name), pinned(readFileSync(join(root, name), 'utf8'), digestOf)] as const)
    for (const [path, text] of texts) writeFileSync(path, text)
    for (const [image, digest] of known) process.stdout.write(`${image}@${digest}\n`)
  } catch (error) {
    process.stderr.write(
      `Nothing was written: ${(error as Error).message}\ndocker with buildx must be there, and the images' registries within reach.\n`,
    )
    process.exitCode = 1
  }
}
