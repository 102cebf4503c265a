"""refusal_test.py: what the chart does not know is refused, by name, before anything is installed.

The schema is closed everywhere; a key that nobody knows is refused by the real helm in every
section of values.yaml, and deep inside configurations, volumes and rules; and values that do not go
together are refused with the field, what was wanted and what came.
"""

import concurrent.futures
import json
import pathlib
import re
import sys
import tempfile

from chart import CHART, ROOT, Helm

sys.path.insert(0, str(ROOT / "helm"))
from values_file import Malformed, read_values  # noqa: E402

# Where a key is put that does not exist: inside what is passed on to services and to Kubernetes.
DEEP = [
    "gateway.config.identity.quotas.default",
    "gateway.config.server.drain",
    "router.config",
    "router.config.pools[0]",
    "router.config.pools[0].experts[0]",
    "router.config.pools[0].gate.topk_softmax",
    "router.config.budgets[0]",
    "expert.config.metering",
    "expert.models.csi",
    "expert.resources",
    "expert.tolerations[0]",
    "experts.mine",
    "experts.mine.gpu",
    "experts.mine.config.execution",
    "gateway.files.secret",
    "networkPolicy.clients[0]",
    "networkPolicy.routerEgress[0].ports[0]",
    "grpcRoute.parentRefs[0]",
]
# Values, and what the refusal must say.
WRONG = [
    ("gateway.replicas=0", ["/gateway/replicas", "minimum"]),
    ("router.podDisruptionBudget.maxUnavailable=0", ["/maxUnavailable", "minimum"]),
    ("networkPolicy.dnsPorts[0]=0", ["/networkPolicy/dnsPorts/0", "minimum"]),
    (
        "router.persistence.enabled=true,router.persistence.size=1Gi,"
        "router.config.decision_log.max_bytes=4294967296",
        ["decision_log.max_bytes is 4294967296", "1073741824"],
    ),
    ("redis.keepsAnswers=true", ["redis.keepsAnswers", "redis.address"]),
    (
        "tls.enabled=true,tls.certManager.enabled=true,"
        "tls.secrets.gateway=g,tls.secrets.router=r,tls.secrets.expert=e",
        ["tls.certManager is enabled", "issue nothing"],
    ),
    (
        "experts.a.keda.enabled=true,experts.a.keda.prometheusAddress=http://p",
        ["experts.a.keda is enabled", "nothing would wake it"],
    ),
    ("gateway.replicas=three", ["/gateway/replicas", "want integer"]),
    ("gateway.service.type=Loadbalancer", ["/gateway/service/type", "LoadBalancer"]),
    ("gateway.service.port=70000", ["/gateway/service/port", "65,?535"]),
    ("configChange=sometimes", ["/configChange", "restart"]),
    ("expert.replicas=-1", ["/expert/replicas", "minimum"]),
    ("redis.maxmemory=", ["/redis/maxmemory", "minLength"]),
    ("router.persistence.size=10GB", ["/router/persistence/size", "10GB"]),
    ("experts.My_Pool.replicas=1", ["My_Pool"]),
    ("gateway.config.server.drain.grace=1", ["/gateway/config/server/drain/grace", "want string"]),
    ("router.config.server.drain.timeout=-30s", ["/router/config/server/drain/timeout", "-30s"]),
    ("router.config.on_store_down=MAYBE", ["/router/config/on_store_down", "DENY"]),
    ("gateway.config.server.grpc=0.0.0.0:1", ["config.server.grpc is set by the chart"]),
    ("router.replicas=2", ["2 routers without a store", "redis.enabled"]),
    ("router.replicas=0", ["router.replicas is 0"]),
    ("example.enabled=false", ["router.config.pools", "at least one pool"]),
    ("experts.example.replicas=1", ["experts.example", "the example has that name"]),
    (
        "gateway.autoscaling.enabled=true",
        ["gateway.autoscaling.cpuUtilization", "resources.requests.cpu"],
    ),
    (
        "gateway.autoscaling.enabled=true,gateway.autoscaling.cpuUtilization=0",
        ["wanted cpuUtilization or podMetrics"],
    ),
    (
        "gateway.autoscaling.enabled=true,gateway.resources.requests.cpu=1,"
        "gateway.autoscaling.minReplicas=9",
        ["minReplicas is 9", "maxReplicas, 6"],
    ),
    ("experts.a.keda.enabled=true", ["experts.a.keda.prometheusAddress is empty"]),
    (
        "experts.a.keda.enabled=true,experts.a.keda.prometheusAddress=http://p,"
        "experts.a.keda.minReplicas=9",
        ["experts.a.keda: minReplicas is 9"],
    ),
    (
        "experts.a.keda.enabled=true,experts.a.autoscaling.enabled=true,"
        "experts.a.resources.requests.cpu=1",
        ["experts.a: autoscaling and keda are both enabled"],
    ),
    ("redis.enabled=true,redis.address=redis://x", ["redis: enabled is true and address is set"]),
    ("tls.enabled=true", ["tls.secrets.gateway is empty", "tls.certManager.enabled"]),
    ("tls.enabled=true,tls.certManager.enabled=true", ["tls.certManager.issuerRef.name is empty"]),
    ("tls.clientCertificates=true", ["tls.enabled is false"]),
    ("ingress.enabled=true", ["ingress.host is empty"]),
    ("grpcRoute.enabled=true", ["grpcRoute.parentRefs is empty"]),
    (
        "monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true",
        ["counted twice"],
    ),
    (
        "monitoring.podMonitor.enabled=true,router.config.server.metrics_tls.key_file=k",
        ["monitoring.podMonitor", "router.config.server.metrics_tls"],
    ),
    ("test.pool=digits", ["test.inputs is empty", "digits"]),
]
SLEEPING = {
    "example": {"enabled": False},
    "router": {"config": {"pools": [{"name": "p", "experts": [{"name": "a"}]}]}},
    "experts": {"a": {"keda": {"enabled": True, "prometheusAddress": "http://p"}}},
}
# Somebody is awake, whom no pool asks.
AWAKE_IN_VAIN = {**SLEEPING, "experts": {**SLEEPING["experts"], "b": {"replicas": 2}}}
UNSERVED = {"router": {"config": {"pools": [{"name": "p", "experts": [{"name": "b"}]}]}}}
DIGITS = {"router": {"config": {"pools": [{"name": "digits", "experts": [{"name": "linear"}]}]}}}
TWO_SOURCES = {
    "expert": {"models": {"hostPath": {"path": "/m"}, "nfs": {"server": "s", "path": "/m"}}}
}
ANNOTATED = {"gateway": {"podAnnotations": {"checksum/config": "mine"}}}
WRONG_FILES = [
    (SLEEPING, ["may sleep at once", "keda.minReplicas"]),
    (AWAKE_IN_VAIN, ["may sleep at once", "keda.minReplicas"]),
    (UNSERVED, ["expert b of pool p has no replicas", "(example)", "config.models"]),
    (DIGITS, ["the example has the pool digits"]),
    (ANNOTATED, ["gateway.podAnnotations: checksum/config"]),
    (TWO_SOURCES, ["/expert/models", "maxProperties"]),
]
TYPO = "unheardOf"


def open_objects(node, path="#"):
    """Where the schema takes any key."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from open_objects(value, f"{path}/{index}")
    if not isinstance(node, dict):
        return
    if node.get("type") == "object" and node.get("additionalProperties", True) is True:
        yield path
    for key, value in node.items():
        yield from open_objects(value, f"{path}/{key}")


def nested(path, leaf):
    """{"a": [{"b": leaf}]} of the path a[0].b."""
    value = leaf
    for part in reversed(path.split(".")):
        name = part.removesuffix("[0]")
        value = {name: [value] if part.endswith("[0]") else value}
    return value


def sections():
    values = read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    return sorted(
        {".".join(value.path[:depth]) for value in values for depth in range(1, len(value.path))}
    )


def refused(helm, values, wanted, name):
    """What is wrong with the refusal of `values`, empty where nothing is."""
    if isinstance(values, str):
        told = helm.template("--set", values)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            file = pathlib.Path(temporary) / "values.json"
            file.write_text(json.dumps(values), encoding="utf-8")
            told = helm.template("-f", file)
    if told.returncode == 0:
        return [f"{name}: taken"]
    return [
        f"{name}: the refusal does not say {word!r}:\n{told.stderr}"
        for word in wanted
        if word not in told.stderr and not re.search(word, told.stderr)
    ]


def malformed_values():
    """values.yaml itself: a value without a comment, and a comment without a value."""
    for text in (
        "a: 1\n",
        "# @param One.\n# @param Two.\na: 1\n",
        "# @param One.\na:\n  b: 1\n",
        "# @param One.\n",
    ):
        try:
            read_values(text)
        except Malformed:
            continue
        yield f"read_values takes {text!r}"


def main():
    helm = Helm()
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    problems = [
        f"values.schema.json takes any key at {path}"
        for path in open_objects(schema)
        if path != "#/properties/global"
    ]
    problems += malformed_values()
    asked = [({TYPO: 1}, [TYPO], "top")]
    for path in [*sections(), *DEEP]:
        where = "/" + path.replace("[0]", "/0").replace(".", "/")
        asked.append((nested(path, {TYPO: 1}), [where, TYPO], path))
    asked += [(values, wanted, values) for values, wanted in WRONG]
    asked += [(values, wanted, json.dumps(values)) for values, wanted in WRONG_FILES]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda one: refused(helm, *one), asked):
            problems += found
    # And what is right is taken: the refusals above are not for another reason.
    for path, leaf in (
        ("gateway.config.identity", {"anonymous_admin": True}),
        ("experts.mine", {"replicas": 2}),
    ):
        with tempfile.TemporaryDirectory() as temporary:
            file = pathlib.Path(temporary) / "values.json"
            file.write_text(json.dumps(nested(path, leaf)), encoding="utf-8")
            told = helm.template("-f", file)
            problems += [] if told.returncode == 0 else [f"{path}: {told.stderr}"]
    for problem in problems:
        print(problem)
    print(f"{len(asked)} refusals, {len(problems)} problems")
    sys.exit(1 if problems or len(asked) < 60 else 0)


if __name__ == "__main__":
    main()
