{{/* The pods of gateway, router and experts: one container each, without rights. `pod` is a dict of
     root, component, pool, values (the component's) and config. */}}

{{/* "1.5s" -> 2 */}}
{{- define "penstock.wholeSeconds" -}}
{{- trimSuffix "s" . | float64 | ceil | int -}}
{{- end -}}

{{/* From the end's decision to SIGKILL: preStop, the service's own drain, and 15 s: 5 s in which
     calls that were cancelled at its end are answered, 1 s in which a router tells the store what
     was used, the rest to let go of models and devices and to exit in. */}}
{{- define "penstock.terminationSeconds" -}}
{{- $drain := .config.server.drain -}}
{{- add .values.preStopSeconds 15
    (include "penstock.wholeSeconds" $drain.grace)
    (include "penstock.wholeSeconds" $drain.timeout) -}}
{{- end -}}

{{- define "penstock.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "penstock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What all pods of the release share. root, values, user */}}
{{- define "penstock.podCommon" -}}
serviceAccountName: {{ include "penstock.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
dnsConfig:
  options:
    # Names of experts are looked up every 5 s: once each, not once for every search domain before.
    - name: ndots
      value: "2"
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "penstock.podSecurity" . | nindent 2 }}
{{- end -}}

{{- define "penstock.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := .values.topologySpread }}
{{- if and $spread.enabled $spread.keys }}
topologySpreadConstraints:
  {{- range $spread.keys }}
  - maxSkew: 1
    topologyKey: {{ . | quote }}
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" $spread.required }}
    labelSelector:
      matchLabels:
        {{- include "penstock.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The kubelet's own gRPC probe speaks no TLS: the pod's program asks then, the port of its own pod,
     whose certificate it need not know. It shows the pod's where clients have to show one. */}}
{{- define "penstock.askHealth" -}}
{{- $mutual := or (ne .component "gateway") .root.Values.tls.clientCertificates -}}
{{- $address := printf "127.0.0.1:%s" (include "penstock.grpcPort" .) -}}
{{- $words := list "/usr/bin/penstock" "health" $address "--no_verify" "--timeout_s" "3" -}}
{{- if $mutual -}}
  {{- $words = concat $words (list "--cert" "/tls/tls.crt" "--key" "/tls/tls.key") -}}
{{- end -}}
exec:
  command:
    {{- toYaml $words | nindent 4 }}
{{- end -}}

{{/* Liveness asks for the health of `live`, which a process has for as long as it answers calls: one
     that says NOT_SERVING (no router is healthy, it drains) is alive. With TLS it asks whether the port
     is open, as start does. */}}
{{- define "penstock.probes" -}}
startupProbe:
  tcpSocket:
    port: grpc
  periodSeconds: 5
  failureThreshold: {{ divf (default 120 .values.startupSeconds) 5 | ceil | int }}
livenessProbe:
  {{- if .root.Values.tls.enabled }}
  tcpSocket:
    port: grpc
  {{- else }}
  grpc:
    port: {{ include "penstock.grpcPort" . }}
    service: live
  {{- end }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  {{- if .root.Values.tls.enabled }}
  {{- include "penstock.askHealth" . | nindent 2 }}
  {{- else }}
  grpc:
    port: {{ include "penstock.grpcPort" . }}
  {{- end }}
  periodSeconds: 5
  timeoutSeconds: {{ ternary 5 2 .root.Values.tls.enabled }}
  failureThreshold: 2
{{- end -}}

{{- define "penstock.resources" -}}
{{- $resources := deepCopy .values.resources -}}
{{- if and (eq .component "expert") .values.gpu.enabled -}}
  {{- $limits := default dict $resources.limits -}}
  {{- $_ := set $limits "nvidia.com/gpu" (toString .values.gpu.count) -}}
  {{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- with $resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* name, mount, source: of the volumes beside the configuration. pod -> {"volumes": [...]} */}}
{{- define "penstock.volumes" -}}
{{- $out := list -}}
{{- with .values.files -}}
  {{- $out = append $out (dict "name" "files" "mount" "/files" "source" .) -}}
{{- end -}}
{{- if eq .component "expert" -}}
  {{- with .values.models -}}
    {{- $out = append $out (dict "name" "models" "mount" "/models" "source" .) -}}
  {{- end -}}
{{- end -}}
{{- if .root.Values.tls.enabled -}}
  {{- $source := dict "secret" (dict "secretName" (include "penstock.tlsSecret" .)) -}}
  {{- $out = append $out (dict "name" "tls" "mount" "/tls" "source" $source) -}}
{{- end -}}
{{- $secret := .root.Values.redis.passwordSecret -}}
{{- $store := get (dict
    "router" (get .config "store")
    "gateway" (dig "cache" "store" "" .config)) .component -}}
{{- if and $secret.name $store -}}
  {{- $items := list (dict "key" $secret.key "path" "password") -}}
  {{- $source := dict "secret" (dict "secretName" $secret.name "items" $items) -}}
  {{- $out = append $out (dict "name" "redis-password" "mount" "/redis" "source" $source) -}}
{{- end -}}
{{- toJson (dict "volumes" $out) -}}
{{- end -}}

{{- define "penstock.podTemplate" -}}
{{- $volumes := (include "penstock.volumes" . | fromJson).volumes -}}
{{- $gpu := and (eq .component "expert") .values.gpu.enabled -}}
{{- $image := include "penstock.image" (dict "root" .root "kind" (ternary "cuda" "cpu" $gpu)) -}}
metadata:
  labels:
    {{- include "penstock.selector" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "penstock.checksum" . }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "penstock.podCommon" (dict "root" .root "values" .values "user" 65532) | nindent 2 }}
  {{- with include "penstock.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if and $gpu .values.gpu.runtimeClassName }}
  runtimeClassName: {{ .values.gpu.runtimeClassName | quote }}
  {{- end }}
  terminationGracePeriodSeconds: {{ include "penstock.terminationSeconds" . }}
  containers:
    - name: {{ .component }}
      image: {{ $image | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [/usr/bin/penstock-{{ .component }}]
      args: [--config, /etc/penstock/{{ .component }}.yaml]
      ports:
        - name: grpc
          containerPort: {{ include "penstock.grpcPort" . }}
        - name: metrics
          containerPort: {{ include "penstock.metricsPort" . }}
      {{- include "penstock.probes" . | nindent 6 }}
      {{- if .values.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .values.preStopSeconds }}
      {{- end }}
      {{- with include "penstock.resources" . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      securityContext:
        {{- include "penstock.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/penstock
          readOnly: true
        {{- range $volumes }}
        - name: {{ .name }}
          mountPath: {{ .mount }}
          readOnly: true
        {{- end }}
        {{- if eq .component "router" }}
        - name: data
          mountPath: /var/lib/penstock
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "penstock.configName" . }}
    {{- range $volumes }}
    - name: {{ .name }}
      {{- toYaml .source | nindent 6 }}
    {{- end }}
    {{- if and (eq .component "router") (not .values.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- end }}
{{- end -}}
