{{/* The example: two digit classifiers from a ConfigMap. Shares of right answers:
     examples/digits/README.md. */}}
{{- define "penstock.example.pool" -}}
name: digits
experts:
  - {name: linear, quality: 0.87}
  - {name: mlp32, quality: 0.95}
combined_output: probabilities
on_infeasible: DEGRADE
{{- end -}}

{{- define "penstock.example.expert" -}}
replicas: 1
config: {models: [linear, mlp32]}
gpu: {enabled: false}
autoscaling: {enabled: false}
keda: {enabled: false}
models:
  configMap:
    name: {{ include "penstock.fullname" . }}-example-models
    items:
      {{- range $model := list "linear" "mlp32" }}
      - {key: {{ $model }}.config.yaml, path: {{ $model }}/config.yaml}
      - {key: {{ $model }}.model.safetensors, path: {{ $model }}/1/model.safetensors}
      {{- end }}
{{- end -}}
