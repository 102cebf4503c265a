{{/* Names and labels. `part` below is a dict of root, component and, for an expert pool, pool; a suffix makes a
     second name of the same part. */}}

{{- define "penstock.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 32 | trimSuffix "-" -}}
{{- end -}}

{{/* part -> its resources' name: at most 32 + "-expert-" + 20 characters. */}}
{{- define "penstock.partName" -}}
{{- include "penstock.fullname" .root }}-{{ .component }}{{ with .pool }}-{{ . }}{{ end }}{{ with .suffix }}-{{ . }}{{ end -}}
{{- end -}}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
penstock/expert-pool: {{ . }}
{{- end }}
{{- end -}}

{{/* Beside the selector's: what may change while it lives. */}}
{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "penstock.metadata" -}}
name: {{ include "penstock.partName" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "penstock.labels" . | nindent 2 }}
{{- end -}}

{{/* part -> the DNS name of its service, in full: with `ndots` below it is looked up as it stands. */}}
{{- define "penstock.host" -}}
{{ include "penstock.partName" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{- define "penstock.serviceAccount" -}}
{{- $made := ternary (include "penstock.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "penstock.image" -}}
{{- $values := .root.Values.image -}}
{{- $repository := ternary $values.cuda $values.cpu (eq .kind "cuda") -}}
{{- with $values.registry }}{{ . }}/{{ end }}{{ $repository }}:{{ default .root.Chart.AppVersion $values.tag -}}
{{- end -}}

{{/* All expert pools share one. */}}
{{- define "penstock.tlsSecret" -}}
{{- default (printf "%s-%s-tls" (include "penstock.fullname" .root) .component) (index .root.Values.tls.secrets .component) -}}
{{- end -}}

{{/* part -> its gRPC and metrics port. */}}
{{- define "penstock.ports" -}}
{{- get (dict "gateway" "8001 8002" "router" "8101 8102" "expert" "8201 8202") .component -}}
{{- end -}}
{{- define "penstock.grpcPort" -}}{{ first (splitList " " (include "penstock.ports" .)) }}{{- end -}}
{{- define "penstock.metricsPort" -}}{{ last (splitList " " (include "penstock.ports" .)) }}{{- end -}}
