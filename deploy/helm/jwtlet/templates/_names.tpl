{{- define "jwtlet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Room is left for the longest ending, "-management". */ -}}
{{- define "jwtlet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "jwtlet.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "jwtlet.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "jwtlet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "jwtlet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "jwtlet.serverSelectorLabels" -}}
{{ include "jwtlet.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "jwtlet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "jwtlet.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: jwtlet
{{- end }}

{{- define "jwtlet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "jwtlet.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "jwtlet.policyName" -}}
{{ include "jwtlet.fullname" . }}-policy
{{- end }}

{{- define "jwtlet.managementName" -}}
{{ include "jwtlet.fullname" . }}-management
{{- end }}

{{- define "jwtlet.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "jwtlet.tlsSecretName" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "jwtlet.fullname" . }}-tls
{{- else -}}
{{ required "tls needs tls.existingSecret or tls.certManager.enabled" .Values.tls.existingSecret }}
{{- end }}
{{- end }}

{{- /* Where others in the cluster reach a Service of the chart, without a port. */ -}}
{{- define "jwtlet.host" -}}
{{ .name }}.{{ .context.Release.Namespace }}.svc.{{ .context.Values.clusterDomain }}
{{- end }}

{{- define "jwtlet.scheme" -}}
{{ ternary "https" "http" .Values.tls.enabled }}
{{- end }}
