/** Whether this process runs in a container, where 127.0.0.1 is the container's own. */
import { existsSync } from 'node:fs'

/** `pod`: the containers of one share their addresses. */
export type Container = 'container' | 'pod'

export function containerOf(env: Readonly<Record<string, string | undefined>>): Container | undefined {
  if ((env['KUBERNETES_SERVICE_HOST'] ?? '') !== '') return 'pod'
  const isMarked = (env['container'] ?? '') !== '' || existsSync('/.dockerenv') || existsSync('/run/.containerenv') // Podman sets the variable
  return isMarked ? 'container' : undefined
}
