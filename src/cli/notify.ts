/**
 * Tells systemd that the sidecar serves, stops, and is not stuck (sd_notify). Node has no datagram sockets for that, so the program systemd-notify tells
 * it: a shell, started once, runs it for each line that it reads. To start a process from here each time would hold up the proxying thread by 20 ms.
 */
import { spawn } from 'node:child_process'

export interface Notifier {
  /** Call when requests are served. From then on the watchdog is answered, as long as this thread runs its timers. */
  ready(): void
  stopping(): void
}

/** A single failure passes; 127 is a shell's word for a program that is not there. */
const relay = 'while read -r line; do systemd-notify "$line" || [ $? -ne 127 ] || exit 127; done'

/** Does nothing where systemd did not start this process with `Type=notify`. */
export function createNotifier(env: Readonly<Record<string, string | undefined>>, report: (line: string) => void): Notifier {
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return { ready: () => undefined, stopping: () => undefined }
  const child = spawn('/bin/sh', ['-c', relay], { stdio: ['pipe', 'ignore', 'ignore'], env: { ...env } })
  const missing = () =>
    report('systemd cannot be told of the start: the program systemd-notify is missing. Install it, or write Type=exec in the unit.')
  child.on('error', missing)
  child.on('exit', (code) => code === 127 && missing())
  child.stdin.on('error', () => undefined) // the exit is reported
  child.unref()
  const tell = (line: string) => void child.stdin.write(`${line}\n`)
  return {
    ready() {
      tell('READY=1')
      const intervalMs = Number(env['WATCHDOG_USEC']) / 1000 / 2
      if (intervalMs > 0) setInterval(tell, intervalMs, 'WATCHDOG=1').unref()
    },
    stopping: () => tell('STOPPING=1'),
  }
}
