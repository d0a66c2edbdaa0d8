{{- /*
A tree of values as TOML. Helm's own toToml writes the whole numbers of values files as floats, which a key for whole
numbers refuses. A text of JSON is one of TOML, and so are numbers, true and false. What is null is left out, so that a
default of the chart can be removed.
*/ -}}

{{- /* The arguments: table, and path, a list of quoted keys. */ -}}
{{- define "jwtlet.tomlTable" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ toJson $key }} = {{ include "jwtlet.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $inner := append $path (toJson $key) }}

[{{ join "." $inner }}]
{{- include "jwtlet.tomlTable" (dict "table" $value "path" $inner) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A value on one line: also the tables of a list. */ -}}
{{- define "jwtlet.tomlValue" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "jwtlet.tomlValue" $item }}{{ end }}]
{{- else if kindIs "map" . -}}
{ {{- $first := true }}{{ range $key, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ if not $first }},{{ end }} {{ toJson $key }} = {{ include "jwtlet.tomlValue" $value }}{{ $first = false }}{{ end }}{{ end }} }
{{- else -}}
{{ toJson . }}
{{- end }}
{{- end }}
