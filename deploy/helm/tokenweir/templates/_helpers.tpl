{{- define "tokenweir.name" -}}
{{- if contains "tokenweir" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-tokenweir" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tokenweir.selector" -}}
app.kubernetes.io/name: tokenweir
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tokenweir.labels" -}}
{{ include "tokenweir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /*
One container. Give it the context of this chart: from the chart itself `.`, from a chart that depends on it
`(index .Subcharts "tokenweir")`. As a native sidecar it stands among initContainers, with `restartPolicy: Always`.
*/ -}}
{{- define "tokenweir.container" -}}
name: tokenweir
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
image: {{ with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- if .Values.upstream }}
  - { name: TOKENWEIR_UPSTREAM, value: {{ .Values.upstream | quote }} }
  {{- else if not .Values.config.routes }}
  {{- fail "upstream is empty: say where requests go, for instance --set upstream=http://my-gateway:8000" }}
  {{- end }}
  - { name: TOKENWEIR_CAPTURE, value: {{ .Values.capture | quote }} }
  {{- if .Values.config }}
  - { name: TOKENWEIR_CONFIG, value: /etc/tokenweir/tokenweir.yaml }
  {{- end }}
  - { name: TOKENWEIR_ADMIN_TOKEN, valueFrom: { secretKeyRef: { name: {{ .Values.adminToken.secret | quote }}, key: {{ .Values.adminToken.key | quote }}, optional: true } } }
  {{- if .Values.otlp.endpoint }}
  - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .Values.otlp.endpoint | quote }} }
  {{- if .Values.otlp.logs }}
  - { name: OTEL_LOGS_EXPORTER, value: otlp }
  {{- end }}
  {{- if .Values.monitor.enabled }}
  - { name: OTEL_METRICS_EXPORTER, value: none }
  {{- end }}
  {{- end }}
  - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
  - { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
  - { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
  - { name: OTEL_RESOURCE_ATTRIBUTES, value: "k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)" }
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom: {{ toYaml . | nindent 2 }}
{{- end }}
ports:
  - { name: llm, containerPort: 4141 }
  - { name: admin, containerPort: 4142 }
startupProbe: { httpGet: { path: /readyz, port: admin }, periodSeconds: 1, failureThreshold: 30 }
readinessProbe: { httpGet: { path: /readyz, port: admin }, periodSeconds: 5 }
livenessProbe: { httpGet: { path: /livez, port: admin }, periodSeconds: 10, failureThreshold: 6 }
resources: {{ toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
volumeMounts:
  - { name: tokenweir-ledger, mountPath: /var/lib/tokenweir }
  - { name: tokenweir-tmp, mountPath: /tmp }
  {{- if .Values.config }}
  - { name: tokenweir-config, mountPath: /etc/tokenweir, readOnly: true }
  {{- end }}
{{- end }}

{{- /* The volumes of the container; the pod's securityContext needs `fsGroup: 1000`. */ -}}
{{- define "tokenweir.volumes" -}}
{{- if or (eq .Values.mode "sidecar") (not .Values.persistence.enabled) }}
- { name: tokenweir-ledger, emptyDir: { sizeLimit: {{ .Values.ledgerSizeLimit }} } }
{{- end }}
- { name: tokenweir-tmp, emptyDir: { sizeLimit: 64Mi } }
{{- if .Values.config }}
- { name: tokenweir-config, configMap: { name: {{ include "tokenweir.name" . }} } }
{{- end }}
{{- end }}
