{{/* What gateway, router and experts have alike. `part` has values, too; `kind` is what it
     scales. */}}

{{- define "penstock.configMap" -}}
{{- $named := include "penstock.configName" . -}}
{{- $part := dict "root" .root "component" .component "pool" .pool "named" $named -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "penstock.metadata" $part | nindent 2 }}
{{- if eq .root.Values.configChange "restart" }}
immutable: true
{{- end }}
data:
  {{ .component }}.yaml: |
    {{- toYaml .config | nindent 4 }}
{{- end -}}

{{- define "penstock.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "penstock.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "penstock.selector" . | nindent 6 }}
{{- end -}}

{{- define "penstock.autoscaler" -}}
{{- $scaling := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "penstock.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ include "penstock.partName" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: {{ $scaling.scaleDownSeconds }}
  metrics:
    {{- if $scaling.cpuUtilization }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.cpuUtilization }}
    {{- end }}
    {{- range $name, $target := $scaling.podMetrics }}
    - type: Pods
      pods:
        metric:
          name: {{ $name }}
        target:
          type: AverageValue
          averageValue: {{ $target | quote }}
    {{- end }}
{{- end -}}

{{/* Every pod by its address, those that are not ready among them: who asks follows their own
     health. */}}
{{- define "penstock.headlessService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "penstock.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: {{ .unready }}
  selector:
    {{- include "penstock.selector" . | nindent 4 }}
  ports:
    - name: grpc
      port: {{ include "penstock.grpcPort" . }}
      targetPort: grpc
      appProtocol: {{ include "penstock.appProtocol" .root }}
    - name: metrics
      port: {{ include "penstock.metricsPort" . }}
      targetPort: metrics
      appProtocol: http
{{- end -}}

{{- define "penstock.appProtocol" -}}
{{ ternary "https" "kubernetes.io/h2c" .Values.tls.enabled }}
{{- end -}}

{{- define "penstock.serviceMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "penstock.metadata" . | nindent 2 }}
    {{- with .root.Values.monitoring.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "penstock.selector" . | nindent 6 }}
  namespaceSelector:
    matchNames: [{{ .root.Release.Namespace | quote }}]
  endpoints:
    - port: metrics
      interval: {{ .root.Values.monitoring.interval }}
      # By which Penstock's rules and dashboards know it, whatever the release is called.
      relabelings:
        - targetLabel: job
          replacement: penstock-{{ .component }}
      {{- if .config.server.metrics_tls }}
      scheme: https
      tlsConfig:
        # The port's certificate need not name the pod's address, which is what is asked.
        insecureSkipVerify: true
      {{- end }}
{{- end -}}

{{- define "penstock.certificate" -}}
{{- $manager := .root.Values.tls.certManager -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "penstock.metadata" . | nindent 2 }}
spec:
  secretName: {{ include "penstock.tlsSecret" . }}
  duration: {{ $manager.duration }}
  renewBefore: {{ $manager.renewBefore }}
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  usages: [digital signature, server auth, client auth]
  dnsNames:
    {{- range .names }}
    - {{ . | quote }}
    {{- end }}
  issuerRef:
    {{- toYaml $manager.issuerRef | nindent 4 }}
{{- end -}}

{{/* What may go out anywhere: names are looked up. */}}
{{- define "penstock.dnsEgress" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* part -> the peer that its pods are. */}}
{{- define "penstock.peer" -}}
- podSelector:
    matchLabels:
      {{- include "penstock.selector" . | nindent 6 }}
{{- end -}}

{{- define "penstock.metricsIngress" -}}
- ports:
    - port: metrics
  {{- with .root.Values.networkPolicy.metrics }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
