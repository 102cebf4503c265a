{{/* -> the pool that `helm test` asks; empty: there is no test. The command line has no client
     certificate. */}}
{{- define "penstock.test.pool" -}}
{{- if not .Values.tls.clientCertificates -}}
{{- default (ternary "digits" "" .Values.example.enabled) .Values.test.pool -}}
{{- end -}}
{{- end -}}

{{/* -> {"inputs": {NAME: JSON}} as JSON: a blank image for the example. */}}
{{- define "penstock.test.inputs" -}}
{{- $inputs := .Values.test.inputs -}}
{{- if and (not .Values.test.pool) (not $inputs) -}}
{{- $inputs = dict "image" (printf "[[%s0]]" (repeat 783 "0,")) -}}
{{- end -}}
{{- toJson (dict "inputs" $inputs) -}}
{{- end -}}
