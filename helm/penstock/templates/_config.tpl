{{/* The services' configurations: what the release gives, then what the values say, then what must
     be. All of these return JSON, which keeps numbers and booleans as they are. */}}

{{/* {base, over}: maps are merged, anything else of `over` wins, false and 0 among it (sprig's
     merge keeps the base there). */}}
{{- define "penstock.merged" -}}
{{- $out := deepCopy .base -}}
{{- range $key, $value := .over -}}
  {{- $old := get $out $key -}}
  {{- if and (kindIs "map" $value) (kindIs "map" $old) -}}
    {{- $inner := include "penstock.merged" (dict "base" $old "over" $value) | fromJson -}}
    {{- $_ := set $out $key $inner -}}
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

{{/* -> how many routers there may be. */}}
{{- define "penstock.mostRouters" -}}
{{- $values := .Values.router -}}
{{- ternary $values.autoscaling.maxReplicas $values.replicas $values.autoscaling.enabled | int -}}
{{- end -}}

{{/* A gateway looks up the pods behind the routers' one name, and chooses among them call by call, by
     their own health. */}}
{{- define "penstock.gateway.config" -}}
{{- $part := dict "root" . "component" "router" -}}
{{- $name := printf "dns:///%s" (include "penstock.host" $part) -}}
{{- $address := printf "%s:%s" $name (include "penstock.grpcPort" $part) -}}
{{- $endpoint := include "penstock.endpoint" (dict "root" . "address" $address) | fromJson -}}
{{- $base := dict "routers" (list $endpoint) -}}
{{- if .Values.redis.keepsAnswers -}}
  {{- $_ := set $base "cache" (dict "store" (include "penstock.store" .)) -}}
{{- end -}}
{{- $over := .Values.gateway.config -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" $over) | fromJson -}}
{{- include "penstock.withServer" (dict "root" . "component" "gateway" "config" $config) -}}
{{- end -}}

{{/* Who is believed, by certificate or because only the release's own get here.
     root, field, component */}}
{{- define "penstock.trust" -}}
{{- if .root.Values.tls.enabled -}}
{{- $host := include "penstock.host" (dict "root" .root "component" .component) -}}
{{- toJson (dict .field (list $host)) -}}
{{- else -}}
{"trust_plaintext": true}
{{- end -}}
{{- end -}}

{{/* -> the store of the release; empty: none. */}}
{{- define "penstock.store" -}}
{{- $redis := .Values.redis -}}
{{- $address := $redis.address -}}
{{- if $redis.enabled -}}
  {{- $host := include "penstock.host" (dict "root" . "component" "redis") -}}
  {{- $address = printf "redis://%s:6379" $host -}}
{{- end -}}
{{- if and $address $redis.passwordSecret.name -}}
  {{- $joint := ternary "&" "?" (contains "?" $address) -}}
  {{- $address = printf "%s%spassword_file=%%2Fredis%%2Fpassword" $address $joint -}}
{{- end -}}
{{- $address -}}
{{- end -}}

{{/* root, pool -> where routers find an expert pool's pods. */}}
{{- define "penstock.expert.address" -}}
{{- $part := dict "root" .root "component" "expert" "pool" .pool -}}
dns:///{{ include "penstock.host" $part }}:{{ include "penstock.grpcPort" $part }}
{{- end -}}

{{/* root, pools, deployments -> the pools with `replicas` where they have none, as
     {"pools": [...]}. */}}
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
          {{- $address := include "penstock.expert.address" (dict "root" $.root "pool" $name) -}}
          {{- $endpoint := dict "root" $.root "address" $address "keepalive" true -}}
          {{- $replicas = append $replicas (include "penstock.endpoint" $endpoint | fromJson) -}}
        {{- end -}}
      {{- end -}}
      {{- if not $replicas -}}
        {{- $names := keys $.deployments | sortAlpha | join ", " -}}
        {{- $what := printf "expert %s of pool %s has no replicas" $expert.name $pool.name -}}
        {{- fail (printf "router.config.pools: %s, and none of experts (%s) has the model %s %s"
            $what $names $model "in its config.models") -}}
      {{- end -}}
      {{- $expert = set (deepCopy $expert) "replicas" $replicas -}}
    {{- end -}}
    {{- $experts = append $experts $expert -}}
  {{- end -}}
  {{- $out = append $out (set (deepCopy $pool) "experts" $experts) -}}
{{- end -}}
{{- toJson (dict "pools" $out) -}}
{{- end -}}

{{/* "10Gi" -> 10737418240 */}}
{{- define "penstock.bytes" -}}
{{- $size := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $size -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12
    "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "m" 0.001 -}}
{{- mulf (trimSuffix $unit $size | float64) (get $units $unit) | floor | int64 -}}
{{- end -}}

{{/* -> the most that the decision logs' volumes should hold: a quarter is for the segment that is
     being written, and for the file system itself. */}}
{{- define "penstock.logBytes" -}}
{{- $size := include "penstock.bytes" .Values.router.persistence.size | int64 -}}
{{- div (mul $size 3) 4 -}}
{{- end -}}

{{- define "penstock.router.config" -}}
{{- $trust := dict "root" . "field" "trusted_gateways" "component" "gateway" -}}
{{- $base := include "penstock.trust" $trust | fromJson -}}
{{- with include "penstock.store" . -}}
  {{- $_ := set $base "store" . -}}
{{- end -}}
{{- if .Values.router.persistence.enabled -}}
  {{- $_ := set $base "decision_log" (dict
      "directory" "/var/lib/penstock/decisions"
      "max_bytes" (include "penstock.logBytes" . | int64)) -}}
{{- end -}}
{{- $over := .Values.router.config -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" $over) | fromJson -}}
{{- $pools := default list $config.pools -}}
{{- if .Values.example.enabled -}}
  {{- $pools = append $pools (include "penstock.example.pool" . | fromYaml) -}}
{{- end -}}
{{- $filled := include "penstock.router.pools" (dict
    "root" . "pools" $pools "deployments" (include "penstock.experts" . | fromJson)) -}}
{{- $_ := set $config "pools" (fromJson $filled).pools -}}
{{- include "penstock.withServer" (dict "root" . "component" "router" "config" $config) -}}
{{- end -}}

{{/* root, pool, values -> JSON */}}
{{- define "penstock.expert.config" -}}
{{- $trust := dict "root" .root "field" "trusted_routers" "component" "router" -}}
{{- $base := include "penstock.trust" $trust | fromJson -}}
{{- $_ := set $base "model_repository" "/models" -}}
{{- $_ := set $base "models" (list .pool) -}}
{{- $over := .values.config -}}
{{- $config := include "penstock.merged" (dict "base" $base "over" $over) | fromJson -}}
{{- include "penstock.withServer" (dict
    "root" .root "component" "expert" "pool" .pool "config" $config) -}}
{{- end -}}

{{/* -> the expert pools by name, each with the values of `expert` that it does not override, as
     JSON. */}}
{{- define "penstock.experts" -}}
{{- $out := dict -}}
{{- $pools := deepCopy .Values.experts -}}
{{- if .Values.example.enabled -}}
  {{- $_ := set $pools "example" (include "penstock.example.expert" . | fromYaml) -}}
{{- end -}}
{{- range $name, $values := $pools -}}
  {{- $own := default dict $values -}}
  {{- $merging := dict "base" $.Values.expert "over" $own -}}
  {{- $merged := include "penstock.merged" $merging | fromJson -}}
  {{/* A volume has one source: another one replaces it. */}}
  {{- if hasKey $own "models" -}}
    {{- $_ := set $merged "models" $own.models -}}
  {{- end -}}
  {{- $_ := set $out $name $merged -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* What of the routers' pools an expert pool serves. root, pools (of the routers' configuration),
     pool -> {"experts": [...], "pools": [...], "planned": a plan says who is awake}. */}}
{{- define "penstock.served" -}}
{{- $address := include "penstock.expert.address" . -}}
{{- $experts := list -}}
{{- $pools := list -}}
{{- $planned := false -}}
{{- range $of := .pools -}}
  {{- range $expert := $of.experts -}}
    {{- range $expert.replicas -}}
      {{- if eq .address $address -}}
        {{- $experts = append $experts $expert.name -}}
        {{- $pools = append $pools $of.name -}}
        {{- if $of.planning -}}{{- $planned = true -}}{{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toJson (dict "experts" (uniq $experts) "pools" (uniq $pools) "planned" $planned) -}}
{{- end -}}

{{/* part with config -> the name of its ConfigMap. With `restart` another configuration is another
     ConfigMap: pods of the old one keep what they have, whatever becomes of the new ones. */}}
{{- define "penstock.configName" -}}
{{- include "penstock.partName" . -}}
{{- if eq .root.Values.configChange "restart" -}}
-{{ toYaml .config | sha256sum | trunc 10 }}
{{- end -}}
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
