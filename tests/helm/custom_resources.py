"""What custom resources must hold: their schemas come with operators, not Kubernetes.

Of each kind the fields that its operator's API requires, and types of those that the chart sets.
"""


class Wrong(ValueError):
    """A resource: the field, what was wanted and what came."""


def _need(manifest, path, kind, where=None):
    """The value at `path`, which must be there and of `kind`."""
    value = manifest if where is None else where
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise Wrong(f"{path}: wanted, is not there")
        value = value[key]
    if not isinstance(value, kind) or (isinstance(value, (str, list, dict)) and not value):
        raise Wrong(f"{path}: wanted {kind}, not empty, got {value!r}")
    return value


def _only(value, allowed, path):
    unknown = set(value) - set(allowed)
    if unknown:
        raise Wrong(f"{path}: unknown fields {sorted(unknown)}")


def _monitor(manifest, endpoints, allowed):
    spec = manifest["spec"]
    _only(spec, {"selector", "namespaceSelector", endpoints}, "spec")
    _need(manifest, "spec.selector.matchLabels", dict)
    _need(manifest, "spec.namespaceSelector.matchNames", list)
    for endpoint in _need(manifest, f"spec.{endpoints}", list):
        _only(endpoint, allowed, f"spec.{endpoints}")
        _need(endpoint, "port", str)
        _need(endpoint, "interval", str)
        for relabeling in _need(endpoint, "relabelings", list):
            _only(relabeling, {"sourceLabels", "targetLabel", "replacement"}, f"spec.{endpoints}")
            _need(relabeling, "targetLabel", str)


def _service_monitor(manifest):
    _monitor(manifest, "endpoints", {"port", "interval", "scheme", "tlsConfig", "relabelings"})


def _pod_monitor(manifest):
    _monitor(manifest, "podMetricsEndpoints", {"port", "interval", "relabelings"})


def _prometheus_rule(manifest):
    _only(manifest["spec"], {"groups"}, "spec")
    for group in _need(manifest, "spec.groups", list):
        _only(group, {"name", "interval", "rules", "limit", "labels"}, "spec.groups")
        _need(group, "name", str)
        for rule in _need(group, "rules", list):
            _need(rule, "expr", (str, int))
            if ("alert" in rule) == ("record" in rule):
                raise Wrong(f"group {group['name']}: wanted one of alert and record: {rule}")


def _scaled_object(manifest):
    spec = manifest["spec"]
    _only(
        spec,
        {
            "scaleTargetRef",
            "minReplicaCount",
            "maxReplicaCount",
            "cooldownPeriod",
            "pollingInterval",
            "triggers",
        },
        "spec",
    )
    _need(manifest, "spec.scaleTargetRef.name", str)
    for field in ("minReplicaCount", "maxReplicaCount", "cooldownPeriod", "pollingInterval"):
        _need(manifest, f"spec.{field}", int)
    for trigger in _need(manifest, "spec.triggers", list):
        _only(trigger, {"type", "metadata"}, "spec.triggers")
        if _need(trigger, "type", str) != "prometheus":
            raise Wrong(f"spec.triggers: type {trigger['type']}")
        # KEDA's metadata is a map of strings.
        for field in ("serverAddress", "query", "threshold"):
            _need(trigger, f"metadata.{field}", str)
        if not all(isinstance(value, str) for value in trigger["metadata"].values()):
            raise Wrong(f"spec.triggers: metadata must be strings: {trigger['metadata']}")


def _grpc_route(manifest):
    _only(manifest["spec"], {"parentRefs", "hostnames", "rules"}, "spec")
    for parent in _need(manifest, "spec.parentRefs", list):
        _need(parent, "name", str)
    for rule in _need(manifest, "spec.rules", list):
        for backend in _need(rule, "backendRefs", list):
            _need(backend, "name", str)
            _need(backend, "port", int)


def _certificate(manifest):
    _only(
        manifest["spec"],
        {"secretName", "duration", "renewBefore", "privateKey", "usages", "dnsNames", "issuerRef"},
        "spec",
    )
    _need(manifest, "spec.secretName", str)
    _need(manifest, "spec.dnsNames", list)
    _need(manifest, "spec.issuerRef.name", str)
    if not {"server auth", "client auth"} <= set(_need(manifest, "spec.usages", list)):
        raise Wrong(f"spec.usages: {manifest['spec']['usages']}")


CHECKS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _service_monitor,
    ("monitoring.coreos.com/v1", "PodMonitor"): _pod_monitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): _prometheus_rule,
    ("keda.sh/v1alpha1", "ScaledObject"): _scaled_object,
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): _grpc_route,
    ("cert-manager.io/v1", "Certificate"): _certificate,
}
