{{- define "mirror.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mirror.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mirror.labels" -}}
{{ include "mirror.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "mirror.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mirror.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* "true" where mirror asks the API server for pods. */}}
{{- define "mirror.asksForPods" -}}
{{- if or .Values.rbac.pods (eq .Values.preset "pods") -}}true{{- end -}}
{{- end -}}

{{/* "true" where cgroups are seen. */}}
{{- define "mirror.seesCgroups" -}}
{{- if has .Values.preset (list "cgroup" "pods") -}}true{{- end -}}
{{- end -}}

{{/* The configuration file: what the values say, over `config`. */}}
{{- define "mirror.config" -}}
{{- $source := dict -}}
{{- if eq .Values.preset "cgroup" -}}
{{- $_ := set $source "cgroup" (required "cgroup: needed by preset cgroup, such as kubepods.slice" .Values.cgroup) -}}
{{- else if eq .Values.preset "pods" -}}
{{- $pods := dict -}}
{{- range $key, $value := .Values.pods -}}{{- if $value -}}{{- $_ := set $pods $key $value -}}{{- end -}}{{- end -}}
{{- if not $pods -}}{{- fail "pods: needed by preset pods: namespaces, labels or annotation" -}}{{- end -}}
{{- $_ := set $source "pods" $pods -}}
{{- else if eq .Values.preset "host" -}}
{{- $_ := set $source "from" .Values.interfaces -}}
{{- else -}}
{{- $_ := set $source "from" .Values.interfaces -}}
{{- $_ := set $source "netns" (required "netns: needed by preset netns, such as /run/netns/pod" .Values.netns) -}}
{{- end -}}
{{- $_ := set $source "ring-size" (printf "%dMiB" (int .Values.memory.ring)) -}}
{{- $budget := div (mul (int .Values.memory.budget) 3) 4 -}}
{{- $_ := set $source "guard" (dict
  "memory-limit" (printf "%dMiB" (add (int .Values.memory.ring) $budget))
  "cpu-limit" (printf "%d%%" (div (int .Values.cpu.limit) 10))
  "pause-file" "/etc/mirror-switch/pause") -}}
{{- $file := dict "version" 1 "source" $source "max-spool" (printf "%dMiB" (int .Values.spool)) -}}
{{- $config := deepCopy .Values.config -}}
{{- range $name, $target := $config.targets -}}
{{- if not $target.health -}}{{- $_ := set $target "health" (dict "errors" $.Values.health.errors) -}}{{- end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $file) -}}
{{- end -}}

{{/* With rolling changes each configuration has a ConfigMap of its own, so that pods keep theirs until replaced. */}}
{{- define "mirror.configMap" -}}
{{- $name := printf "%s-config" (include "mirror.fullname" .) -}}
{{- if eq .Values.configChange "rolling" -}}
{{- printf "%s-%s" $name (include "mirror.config" . | sha256sum | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}
