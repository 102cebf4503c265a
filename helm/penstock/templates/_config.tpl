{{/* The services' configurations: what the release gives, then what the values say, then what must be. All
     of these return JSON, which keeps numbers and booleans as they are. */}}

{{/* {base, over}: maps are merged, anything else of `over` wins, false and 0 among it (sprig's merge keeps
     the base there). */}}
{{- define "penstock.merged" -}}
{{- $out := deepCopy .base -}}
{{- range $key, $value := .over -}}
  {{- $old := get $out $key -}}
  {{- if and (kindIs "map" $value) (kindIs "map" $old) -}}
    {{- $_ := set $out $key (include "penstock.merged" (dict "base" $old "over" $value) | fromJson) -}}
  {{- else -}}
    {{- $_ := set $out $key $value -}}
  {{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* What the server of every service gets. part, config -> JSON */}}
{{- define "penstock.withServer" -}}
{{- $tls := .root.Values.tls -}}
{{- $base := dict "drain" (dict "grace" "1s" "timeout" "30s") -}}
{{- $must := dict
    "grpc" (printf "0.0.0.0:%s" (include "penstock.grpcPort" .))
    "metrics" (printf "0.0.0.0:%s" (include "penstock.metricsPort" .)) -}}
{{- if $tls.enabled -}}
  {{- $server := dict "certificate_file" "/tls/tls.crt" "key_file" "/tls/tls.key" -}}
  {{- if or (ne .component "gateway") $tls.clientCertificates -}}
    {{- $_ := set $server "client_ca_file" "/tls/ca.crt" -}}
  {{- end -}}
  {{- $_ := set $must "tls" $server -}}
{{- end -}}
{{- $own := default dict .config.server -}}
{{- range $key := keys $must -}}
  {{- if hasKey $own $key -}}
    {{- fail (printf "%s: config.server.%s is set by the chart: leave it out" $.component $key) -}}
  {{- end -}}
{{- end -}}
{{- $server := include "penstock.merged" (dict "base" $base "over" $own) | fromJson -}}
{{- $server = include "penstock.merged" (dict "base" $server "over" $must) | fromJson -}}
{{- toJson (set (deepCopy .config) "server" $server) -}}
{{- end -}}

{{/* An endpoint of the release. root, address, keepalive -> JSON */}}
{{- define "penstock.endpoint" -}}
{{- $out := dict "address" .address -}}
{{- if .root.Values.tls.enabled -}}
  {{- $_ := set $out "ca_file" "/tls/ca.crt" -}}
  {{- $_ := set $out "certificate_file" "/tls/tls.crt" -}}
  {{- $_ := set $out "key_file" "/tls/tls.key" -}}
{{- end -}}
{{- with .keepalive -}}
  {{- $_ := set $out "keepalive_time" "10s" -}}
  {{- $_ := set $out "keepalive_timeout" "5s" -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* Routers are named one by one: a gateway chooses among them call by call, by their own health. */}}
{{- define "penstock.gateway.config" -}}
{{- $values := .Values.router -}}
{{- $count := ternary $values.autoscaling.maxReplicas $values.replicas $values.autoscaling.enabled | int -}}
{{- $part := dict "root" . "component" "router" -}}
{{- $routers := list -}}
{{- range $i := until $count -}}
  {{- $pod := printf "%s-%d.%s" (include "penstock.partName" $part) $i (include "penstock.host" $part) -}}
  {{- $address := printf "%s:%s" $pod (include "penstock.grpcPort" $part) -}}
  {{- $routers = append $routers (include "penstock.endpoint" (dict "root" $ "address" $address) | fromJson) -}}
{{- end -}}
{{- $base := dict "routers" $routers -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" .Values.gateway.config) | fromJson -}}
{{- include "penstock.withServer" (dict "root" . "component" "gateway" "config" $config) -}}
{{- end -}}

{{/* Who is believed, by certificate or because only the release's own get here. root, field, component */}}
{{- define "penstock.trust" -}}
{{- if .root.Values.tls.enabled -}}
{{- toJson (dict .field (list (include "penstock.host" (dict "root" .root "component" .component)))) -}}
{{- else -}}
{"trust_plaintext": true}
{{- end -}}
{{- end -}}

{{/* -> the routers' store; empty: none. */}}
{{- define "penstock.store" -}}
{{- $redis := .Values.redis -}}
{{- $address := $redis.address -}}
{{- if $redis.enabled -}}
  {{- $address = printf "redis://%s:6379" (include "penstock.host" (dict "root" . "component" "redis")) -}}
{{- end -}}
{{- if and $address $redis.passwordSecret.name -}}
  {{- $joint := ternary "&" "?" (contains "?" $address) -}}
  {{- $address = printf "%s%spassword_file=%%2Fredis%%2Fpassword" $address $joint -}}
{{- end -}}
{{- $address -}}
{{- end -}}

{{/* root, pools, deployments -> the pools with `replicas` where they have none, as {"pools": [...]}. */}}
{{- define "penstock.router.pools" -}}
{{- $out := list -}}
{{- range $pool := .pools -}}
  {{- $experts := list -}}
  {{- range $expert := $pool.experts -}}
    {{- if not $expert.replicas -}}
      {{- $model := default $expert.name $expert.model -}}
      {{- $replicas := list -}}
      {{- range $name, $deployment := $.deployments -}}
        {{- if has $model (default (list $name) $deployment.config.models) -}}
          {{- $part := dict "root" $.root "component" "expert" "pool" $name -}}
          {{- $address := printf "dns:///%s:%s" (include "penstock.host" $part) (include "penstock.grpcPort" $part) -}}
          {{- $endpoint := dict "root" $.root "address" $address "keepalive" true -}}
          {{- $replicas = append $replicas (include "penstock.endpoint" $endpoint | fromJson) -}}
        {{- end -}}
      {{- end -}}
      {{- if not $replicas -}}
        {{- $names := keys $.deployments | sortAlpha | join ", " -}}
        {{- $serves := printf "none of experts (%s) has the model %s in its config.models" $names $model -}}
        {{- fail (printf "router.config.pools: expert %s of pool %s has no replicas, and %s"
            $expert.name $pool.name $serves) -}}
      {{- end -}}
      {{- $expert = set (deepCopy $expert) "replicas" $replicas -}}
    {{- end -}}
    {{- $experts = append $experts $expert -}}
  {{- end -}}
  {{- $out = append $out (set (deepCopy $pool) "experts" $experts) -}}
{{- end -}}
{{- toJson (dict "pools" $out) -}}
{{- end -}}

{{- define "penstock.router.config" -}}
{{- $base := include "penstock.trust" (dict "root" . "field" "trusted_gateways" "component" "gateway") | fromJson -}}
{{- with include "penstock.store" . -}}
  {{- $_ := set $base "store" . -}}
{{- end -}}
{{- if .Values.router.persistence.enabled -}}
  {{- $_ := set $base "decision_log" (dict "directory" "/var/lib/penstock/decisions") -}}
{{- end -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" .Values.router.config) | fromJson -}}
{{- $pools := default list $config.pools -}}
{{- if .Values.example.enabled -}}
  {{- $pools = append $pools (include "penstock.example.pool" . | fromYaml) -}}
{{- end -}}
{{- $deployments := include "penstock.experts" . | fromJson -}}
{{- $filled := include "penstock.router.pools" (dict "root" . "pools" $pools "deployments" $deployments) -}}
{{- $_ := set $config "pools" (fromJson $filled).pools -}}
{{- include "penstock.withServer" (dict "root" . "component" "router" "config" $config) -}}
{{- end -}}

{{/* root, pool, values -> JSON */}}
{{- define "penstock.expert.config" -}}
{{- $base := include "penstock.trust" (dict "root" .root "field" "trusted_routers" "component" "router") | fromJson -}}
{{- $_ := set $base "model_repository" "/models" -}}
{{- $_ := set $base "models" (list .pool) -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" .values.config) | fromJson -}}
{{- include "penstock.withServer" (dict "root" .root "component" "expert" "pool" .pool "config" $config) -}}
{{- end -}}

{{/* -> the expert pools by name, each with the values of `expert` that it does not override, as JSON. */}}
{{- define "penstock.experts" -}}
{{- $out := dict -}}
{{- range $name, $own := .Values.experts -}}
  {{- $merged := include "penstock.merged" (dict "base" $.Values.expert "over" (default dict $own)) | fromJson -}}
  {{/* A volume has one source: another one replaces it. */}}
  {{- if hasKey (default dict $own) "models" -}}
    {{- $_ := set $merged "models" $own.models -}}
  {{- end -}}
  {{- $_ := set $out $name $merged -}}
{{- end -}}
{{- if .Values.example.enabled -}}
  {{- $own := include "penstock.example.expert" . | fromYaml -}}
  {{- $_ := set $out "example" (include "penstock.merged" (dict "base" .Values.expert "over" $own) | fromJson) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* What a pod is restarted for. configChange, component, config */}}
{{- define "penstock.checksum" -}}
{{- $config := .config -}}
{{- if eq .root.Values.configChange "reload" -}}
  {{/* docs/reload.md: what each service takes while it serves. */}}
  {{- $live := dict
      "gateway" (list "routers" "admission" "catalogue_ttl")
      "router" (list "pools" "budgets")
      "expert" (list "models") -}}
  {{- range $key := get $live .component -}}
    {{- $config = omit $config $key -}}
  {{- end -}}
{{- end -}}
{{- toJson $config | sha256sum -}}
{{- end -}}
