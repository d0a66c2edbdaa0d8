{{- /* What the Pod Security Standard "restricted" asks of a pod, and of a container. */ -}}
{{- define "jwtlet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "jwtlet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* A time as the configuration has it ("1m 30s"), in seconds. */ -}}
{{- define "jwtlet.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+ *[hms]" . -1 }}
{{- $unit := dict "h" 3600 "m" 60 "s" 1 }}
{{- $seconds = add $seconds (mul (regexFind "[0-9]+" . | int) (get $unit (regexFind "[hms]" .))) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- /* Why the termination period fits: the delay, in which Services forget the pod while it still answers; the 30
seconds in which the server finishes what runs; and some to spare. */ -}}
{{- define "jwtlet.terminationGracePeriodSeconds" -}}
{{- $config := include "jwtlet.config" . | fromJson }}
{{- add (include "jwtlet.seconds" $config.http.shutdown_delay | int) 30 5 }}
{{- end }}

{{- define "jwtlet.vaultAgentAnnotations" -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/agent-inject-token: "true"
vault.hashicorp.com/role: {{ .Values.vault.role | quote }}
vault.hashicorp.com/auth-path: {{ printf "auth/%s" .Values.vault.mount | quote }}
vault.hashicorp.com/agent-run-as-user: "65532"
vault.hashicorp.com/agent-run-as-group: "65532"
{{- end }}

{{- define "jwtlet.probe" -}}
httpGet:
  path: {{ .path }}
  port: exchange
  scheme: {{ include "jwtlet.scheme" .context | upper }}
{{- end }}

{{- define "jwtlet.topologySpreadConstraints" -}}
{{- if .Values.topologySpreadConstraints }}
{{- toYaml .Values.topologySpreadConstraints }}
{{- else }}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "jwtlet.serverSelectorLabels" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{- define "jwtlet.environment" -}}
- name: JWTLET_CONFIG_FILE
  value: /etc/jwtlet/config/config.toml
- name: RUST_LOG
  value: {{ .Values.logLevel | quote }}
{{- if eq (include "jwtlet.storageType" .) "postgres" }}
- name: JWTLET__STORAGE_BACKEND__URL
  valueFrom:
    secretKeyRef:
      name: {{ required "storage of type postgres needs postgresql.existingSecret" .Values.postgresql.existingSecret }}
      key: {{ .Values.postgresql.key }}
{{- end }}
{{- if eq .Values.vault.auth "token" }}
- name: JWTLET__VAULT__TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ required "vault.auth token needs vault.token.existingSecret" .Values.vault.token.existingSecret }}
      key: {{ .Values.vault.token.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The Secrets that are mounted as files: a list of name, secret, as JSON. */ -}}
{{- define "jwtlet.secretVolumes" -}}
{{- $volumes := list }}
{{- if .Values.tls.enabled }}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (include "jwtlet.tlsSecretName" .)) }}
{{- with .Values.tls.clientCa.existingSecret }}
{{- $volumes = append $volumes (dict "name" "client-ca" "secret" .) }}
{{- end }}
{{- end }}
{{- with .Values.vault.ca.existingSecret }}
{{- $volumes = append $volumes (dict "name" "vault-ca" "secret" .) }}
{{- end }}
{{- if eq (include "jwtlet.storageType" .) "postgres" }}
{{- with .Values.postgresql.ca.existingSecret }}
{{- $volumes = append $volumes (dict "name" "postgresql-ca" "secret" .) }}
{{- end }}
{{- end }}
{{- toJson $volumes }}
{{- end }}
