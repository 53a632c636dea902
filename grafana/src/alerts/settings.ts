/** Whether a sidecar runs with the settings and certificates that its operator wants. */
import { duration, series } from '../promql.ts'
import type { Alert, Making } from './alert.ts'

export function settingsAlerts({ counts, seconds }: Making): Alert[] {
  const refused = series('tokenweir.tls.certificates.changed', { state: '="refused"' })
  return [
    {
      name: 'ReloadRefused',
      severity: 'ticket',
      expr: `max_over_time(${series('tokenweir.config.last_reload.successful')}[${duration(seconds(120))}]) == 0`,
      forSeconds: seconds(60),
      keepSeconds: 0,
      summary: 'The settings of {{ $labels.instance }} were read again and refused',
      impact: 'The settings from before stay in effect. A restart would fail, because the file has a mistake.',
      firstSteps:
        'GET /readyz names the mistake (configuration.problems), and so does `tokenweir check FILE`. Correct the file and reload.',
      dashboard: 'sidecar',
    },
    {
      name: 'CertificatesRefused',
      severity: 'ticket',
      expr: `${counts.of('certificates_refused', refused, seconds(900), 'instance')} > 0`,
      forSeconds: 0,
      keepSeconds: seconds(1800),
      summary: 'New certificate files of {{ $labels.instance }} cannot be used',
      impact: 'The certificates from before stay in use until they expire. After that no client can connect, or no upstream is reached.',
      firstSteps:
        'Standard error of the sidecar names the file and what is wrong. Does the key belong to the certificate? Are both in PEM?',
      dashboard: 'sidecar',
    },
  ]
}
