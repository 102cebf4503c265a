{{/* Names and labels. `part` below is a dict of root, component and, for an expert pool, pool; a
     suffix makes a second name of the same part. */}}

{{- define "penstock.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $both := printf "%s-%s" .Release.Name $name -}}
{{- $full := ternary .Release.Name $both (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 32 | trimSuffix "-" -}}
{{- end -}}

{{/* part -> its resources' name: at most 32 + "-expert-" + 20 characters. */}}
{{- define "penstock.partName" -}}
{{- $words := list (include "penstock.fullname" .root) .component .pool .suffix -}}
{{- compact $words | join "-" -}}
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

{{/* part, and another name of it, if it has one. */}}
{{- define "penstock.metadata" -}}
name: {{ default (include "penstock.partName" .) .named }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "penstock.labels" . | nindent 2 }}
{{- end -}}

{{/* part -> the DNS name of its service, in full: with `ndots` of the pods it is looked up as it
     stands. */}}
{{- define "penstock.host" -}}
{{- $values := .root.Values -}}
{{ include "penstock.partName" . }}.{{ .root.Release.Namespace }}.svc.{{ $values.clusterDomain }}
{{- end -}}

{{- define "penstock.serviceAccount" -}}
{{- $made := ternary (include "penstock.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "penstock.image" -}}
{{- $values := .root.Values.image -}}
{{- $repository := ternary $values.cuda $values.cpu (eq .kind "cuda") -}}
{{- $tag := default .root.Chart.AppVersion $values.tag -}}
{{- with $values.registry }}{{ . }}/{{ end }}{{ $repository }}:{{ $tag -}}
{{- end -}}

{{/* All expert pools share one. */}}
{{- define "penstock.tlsSecret" -}}
{{- $made := printf "%s-%s-tls" (include "penstock.fullname" .root) .component -}}
{{- default $made (index .root.Values.tls.secrets .component) -}}
{{- end -}}

{{/* -> the components whose pods mount a certificate that the values give no secret for, as
     {"components": [...]}: what cert-manager is to issue. One that is given is its owner's. */}}
{{- define "penstock.withoutSecret" -}}
{{- $out := list -}}
{{- if .Values.tls.enabled -}}
  {{- range $component := list "gateway" "router" "expert" -}}
    {{- $has := or (ne $component "expert") (include "penstock.experts" $ | fromJson) -}}
    {{- if and $has (not (index $.Values.tls.secrets $component)) -}}
      {{- $out = append $out $component -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toJson (dict "components" $out) -}}
{{- end -}}

{{/* part -> "true" where cert-manager issues its certificate. */}}
{{- define "penstock.issued" -}}
{{- $without := (include "penstock.withoutSecret" .root | fromJson).components -}}
{{- if and .root.Values.tls.certManager.enabled (has .component $without) -}}
true
{{- end -}}
{{- end -}}

{{/* part -> its gRPC and metrics port. */}}
{{- define "penstock.ports" -}}
{{- get (dict "gateway" "8001 8002" "router" "8101 8102" "expert" "8201 8202") .component -}}
{{- end -}}
{{- define "penstock.grpcPort" -}}
{{- splitList " " (include "penstock.ports" .) | first -}}
{{- end -}}
{{- define "penstock.metricsPort" -}}
{{- splitList " " (include "penstock.ports" .) | last -}}
{{- end -}}
