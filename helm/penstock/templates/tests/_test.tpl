{{/* -> the pool that `helm test` asks; empty: there is no test. */}}
{{- define "penstock.test.pool" -}}
{{- default (ternary "digits" "" .Values.example.enabled) .Values.test.pool -}}
{{- end -}}

{{/* -> {"inputs": {NAME: JSON}} as JSON: a blank image for the example. */}}
{{- define "penstock.test.inputs" -}}
{{- $inputs := .Values.test.inputs -}}
{{- if and (not .Values.test.pool) (not $inputs) -}}
{{- $inputs = dict "image" (printf "[[%s0]]" (repeat 783 "0,")) -}}
{{- end -}}
{{- toJson (dict "inputs" $inputs) -}}
{{- end -}}
