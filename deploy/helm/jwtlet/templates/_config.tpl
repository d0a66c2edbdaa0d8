{{- /*
The configuration: the tree `config` of the values, and the keys that follow from other values. Where both say
something, `config` wins.
*/ -}}

{{- define "jwtlet.exchangePort" -}}
{{ default 8080 .Values.config.token_exchange_port | int }}
{{- end }}

{{- define "jwtlet.managementPort" -}}
{{ default 8081 .Values.config.management_port | int }}
{{- end }}

{{- define "jwtlet.storageType" -}}
{{ dig "storage_backend" "type" "memory" .Values.config }}
{{- end }}

{{- /* As JSON, because a template gives back text only. */ -}}
{{- define "jwtlet.config" -}}
{{- $host := include "jwtlet.host" (dict "name" (include "jwtlet.fullname" .) "context" .) }}
{{- $derived := dict
      "issuer" (printf "%s://%s:%s" (include "jwtlet.scheme" .) $host (include "jwtlet.exchangePort" .))
      "http" (dict "shutdown_delay" (printf "%ds" (int .Values.drain.delaySeconds)))
      "vault" (include "jwtlet.vaultConfig" . | fromJson)
      "storage_backend" (include "jwtlet.storageConfig" . | fromJson)
}}
{{- if .Values.tls.enabled }}
{{- $tls := dict "cert_file" "/etc/jwtlet/tls/tls.crt" "key_file" "/etc/jwtlet/tls/tls.key" }}
{{- if .Values.tls.clientCa.existingSecret }}
{{- $_ := set $tls "client_ca_file" (printf "/etc/jwtlet/client-ca/%s" .Values.tls.clientCa.key) }}
{{- end }}
{{- $_ := set $derived "tls" $tls }}
{{- end }}
{{- if .Values.policy.documents }}
{{- $account := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "jwtlet.policyName" .) }}
{{- $_ := set $derived "service_accounts" (dict $account (list "management:write")) }}
{{- end }}
{{- mergeOverwrite $derived (deepCopy .Values.config) | toJson }}
{{- end }}

{{- define "jwtlet.vaultConfig" -}}
{{- $vault := dict }}
{{- if eq .Values.vault.auth "kubernetes" }}
{{- $_ := set $vault "kubernetes_role" .Values.vault.role }}
{{- $_ := set $vault "kubernetes_mount" .Values.vault.mount }}
{{- else if eq .Values.vault.auth "agent" }}
{{- $_ := set $vault "token_file" "/vault/secrets/token" }}
{{- end }}
{{- if .Values.vault.ca.existingSecret }}
{{- $_ := set $vault "ca_file" (printf "/etc/jwtlet/vault-ca/%s" .Values.vault.ca.key) }}
{{- end }}
{{- toJson $vault }}
{{- end }}

{{- define "jwtlet.storageConfig" -}}
{{- $storage := dict }}
{{- if eq (include "jwtlet.storageType" .) "sqlite" }}
{{- $_ := set $storage "path" "/var/lib/jwtlet/jwtlet.db" }}
{{- else if and (eq (include "jwtlet.storageType" .) "postgres") .Values.postgresql.ca.existingSecret }}
{{- $file := printf "/etc/jwtlet/postgresql-ca/%s" .Values.postgresql.ca.key }}
{{- $_ := set $storage "pool" (dict "ssl_root_cert" $file) }}
{{- end }}
{{- toJson $storage }}
{{- end }}

{{- define "jwtlet.configToml" -}}
{{- include "jwtlet.tomlTable" (dict "table" (include "jwtlet.config" . | fromJson) "path" list) | trim }}
{{- end }}

{{- /* A text as it is, one record, or a list of records. */ -}}
{{- define "jwtlet.policyDocument" -}}
{{- if kindIs "slice" . }}
{{- range $index, $record := . }}
{{- if $index }}
---
{{ end }}
{{- toYaml $record }}
{{- end }}
{{- else if kindIs "map" . }}
{{- toYaml . }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{- /* What makes no sense together. The schema of the values has what can be said of one value. */ -}}
{{- define "jwtlet.check" -}}
{{- $type := include "jwtlet.storageType" . }}
{{- $replicas := int .Values.replicaCount }}
{{- if .Values.autoscaling.enabled }}
{{- $replicas = int .Values.autoscaling.maxReplicas }}
{{- if lt $replicas (int .Values.autoscaling.minReplicas) }}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" }}
{{- end }}
{{- end }}
{{- if and (ne $type "postgres") (gt $replicas 1) }}
{{- fail (printf "storage of type %s is for one replica: each would have a policy of its own. Use postgres, or replicaCount 1 without autoscaling" $type) }}
{{- end }}
{{- if and .Values.policy.documents .Values.tls.enabled .Values.tls.clientCa.existingSecret (not .Values.policy.clientCertificate.existingSecret) }}
{{- fail "tls.clientCa asks clients of the management port for a certificate: name one for the policy job in policy.clientCertificate.existingSecret" }}
{{- end }}
{{- end }}
