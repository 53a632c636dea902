import { join } from 'node:path'

/**
 * Installs a list of Python packages into a virtual environment. Every package has its version and its hashes in the list, so nothing is left to be
 * resolved, and only wheels are taken: a source package would fetch what builds it without any hash. Hashes for changed versions:
 * `uv pip compile FILE --generate-hashes --no-deps --no-header --no-annotate --output-file FILE`.
 */
export function pipInstall(environment: string, requirements: string, run: (command: string, args: readonly string[]) => void): void {
  const strict = ['--no-deps', '--require-hashes', '--only-binary', ':all:']
  run(join(environment, 'bin/pip'), ['install', '--quiet', ...strict, '--requirement', requirements])
}
