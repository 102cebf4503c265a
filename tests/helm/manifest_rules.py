"""What must hold of any rendering of the chart: schemas, references, security, drain."""

import functools
import hashlib
import json
import re

import kubernetes_validate
import yaml
from chart import CHART, configurations, identity
from custom_resources import CHECKS, Wrong

# The oldest that Chart.yaml takes, and the newest that the package knows.
VERSIONS = ("1.30", "1.37")

# The package reads its files anew for each resource.
kubernetes_validate.utils.schema_contents = functools.cache(
    kubernetes_validate.utils.schema_contents
)


@functools.cache
def _schema_problems(text):
    manifest = json.loads(text)
    check = CHECKS.get((manifest["apiVersion"], manifest["kind"]))
    if check is not None:
        try:
            check(manifest)
        except Wrong as why:
            return (f"{identity(manifest)}: {why}",)
        return ()
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as why:
            found.append(
                f"{identity(manifest)}, Kubernetes {version}: {why.message} at {list(why.path)}"
            )
        except kubernetes_validate.SchemaNotFoundError as why:
            found.append(f"{identity(manifest)}: {why.message}, and no check of ours")
    return tuple(found)


def pods(rendered):
    """(the manifest, its pod's metadata and spec) of all that run pods."""
    for manifest in rendered:
        if manifest["kind"] == "Pod":
            yield manifest, manifest["metadata"], manifest["spec"]
        elif manifest["kind"] in ("Deployment", "StatefulSet"):
            template = manifest["spec"]["template"]
            yield manifest, template["metadata"], template["spec"]


def _within(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def _security_problems(manifest, spec):
    """Kubernetes' restricted profile, and no token."""
    name, of_pod = identity(manifest), spec["securityContext"]
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{name}: its pods get a service account's token"
    if not of_pod.get("runAsNonRoot") or not of_pod.get("runAsUser"):
        yield f"{name}: may run as root"
    if of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{name}: seccompProfile is {of_pod.get('seccompProfile')}"
    for container in spec["containers"]:
        wanted = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        if container.get("securityContext") != wanted:
            yield f"{name}: its container's securityContext is {container.get('securityContext')}"


def _drain_problems(rendered, manifest, labels, spec):
    """SIGKILL comes later than the service's own drain, whatever it is configured to be."""
    component = labels["app.kubernetes.io/component"]
    source = next(
        (
            volume["configMap"]["name"]
            for volume in spec.get("volumes", [])
            if volume["name"] == "config"
        ),
        None,
    )
    if component == "redis" or source is None:
        return
    text = next(
        one["data"][f"{component}.yaml"]
        for one in rendered
        if identity(one) == f"ConfigMap/{source}"
    )
    drain = yaml.safe_load(text)["server"]["drain"]
    container = spec["containers"][0]
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needs = before + sum(float(drain[part].removesuffix("s")) for part in ("grace", "timeout"))
    has = spec["terminationGracePeriodSeconds"]
    # Cancelled calls have 5 s more, the last telling of what was used 1 s, the end the rest.
    if not needs + 5 + 1 + 5 <= has <= needs + 20:
        yield f"{identity(manifest)}: drains for up to {needs} s, is killed after {has} s"


def _rollout_problems(manifest, labels, spec):
    """The next pod is replaced once callers have found and asked the one before."""
    component = labels["app.kubernetes.io/component"]
    if component not in ("gateway", "router", "expert"):
        return
    wanted = 15 if component != "gateway" else 0
    has = manifest["spec"].get("minReadySeconds", 0)
    if has < wanted:
        yield f"{identity(manifest)}: minReadySeconds is {has}, wanted {wanted}"


def _restart_problems(rendered, manifest, metadata, spec):
    """Pods know their configuration by its content, or take changes of it while they serve."""
    mounted = next(one for one in spec["volumes"] if one["name"] == "config")["configMap"]["name"]
    config = next(one for one in rendered if identity(one) == f"ConfigMap/{mounted}")
    name = manifest["metadata"]["name"]
    if config.get("immutable"):
        if not re.fullmatch(rf"{name}-[0-9a-f]{{10}}", mounted):
            yield f"{identity(manifest)}: the ConfigMap {mounted} is not named by its content"
    elif mounted != name:
        yield f"{identity(manifest)}: the ConfigMap {mounted} is not its own"
    if metadata["labels"]["app.kubernetes.io/component"] == "redis":
        data = json.dumps(config["data"], sort_keys=True, separators=(",", ":"))
        for mark in "<>&":  # as Go writes JSON
            data = data.replace(mark, f"\\u{ord(mark):04x}")
        has = metadata["annotations"]["checksum/config"]
        if hashlib.sha256(data.encode()).hexdigest() != has:
            yield f"{identity(manifest)}: checksum/config {has} is not that of the whole {mounted}"


def _reference_problems(rendered):
    names = {identity(manifest) for manifest in rendered}
    labels_of_pods = [metadata["labels"] for _, metadata, _ in pods(rendered)]
    certificates = {one["spec"]["secretName"] for one in rendered if one["kind"] == "Certificate"}
    for manifest in rendered:
        name, spec = identity(manifest), manifest.get("spec", {})
        if manifest["kind"] == "Service" and not any(
            _within(spec["selector"], one) for one in labels_of_pods
        ):
            yield f"{name}: selects no pod"
        if manifest["kind"] in ("PodDisruptionBudget", "Deployment", "StatefulSet"):
            if sum(_within(spec["selector"]["matchLabels"], one) for one in labels_of_pods) != 1:
                yield f"{name}: its selector does not mean the pods of one workload"
        target = spec.get("scaleTargetRef")
        if target and f"{target.get('kind', 'Deployment')}/{target['name']}" not in names:
            yield f"{name}: scales {target}, which is not there"
        if target:
            scaled = next(
                one
                for one in rendered
                if one["kind"] in ("Deployment", "StatefulSet")
                and one["metadata"]["name"] == target["name"]
            )
            if "replicas" in scaled["spec"]:
                yield f"{name}: {identity(scaled)} has replicas of its own"
        if manifest["kind"] == "StatefulSet" and f"Service/{spec['serviceName']}" not in names:
            yield f"{name}: its service {spec['serviceName']} is not there"
    for manifest, _, spec in pods(rendered):
        for volume in spec.get("volumes", []):
            source = volume.get("configMap", {}).get("name")
            if source and f"ConfigMap/{source}" not in names:
                yield f"{identity(manifest)}: mounts the ConfigMap {source}, which is not there"
            secret = volume.get("secret", {}).get("secretName", "")
            own = re.fullmatch(r"penstock-(gateway|router|expert)-tls", secret)
            if volume["name"] == "tls" and own and secret not in certificates:
                made = sorted(certificates)
                yield f"{identity(manifest)}: mounts the secret {secret}; certificates make {made}"
        for volume in spec.get("volumes", []):
            sources = sorted(volume.keys() - {"name"})
            if len(sources) != 1:
                yield f"{identity(manifest)}: the volume {volume['name']} has the sources {sources}"
        mounted = {
            mount["name"] for one in spec["containers"] for mount in one.get("volumeMounts", [])
        }
        declared = {volume["name"] for volume in spec.get("volumes", [])}
        declared |= {
            one["metadata"]["name"] for one in manifest["spec"].get("volumeClaimTemplates", [])
        }
        if mounted != declared:
            yield f"{identity(manifest)}: mounts {sorted(mounted)}, has {sorted(declared)}"


def _password_problems(rendered):
    """A password's file that a configuration names is mounted."""
    for manifest, metadata, spec in pods(rendered):
        labels = metadata["labels"]
        part = labels["app.kubernetes.io/component"], labels.get("penstock/expert-pool", "")
        text = json.dumps(configurations(rendered).get(part, {}))
        mounts = [one["mountPath"] for one in spec["containers"][0].get("volumeMounts", [])]
        if "password_file=%2Fredis%2Fpassword" in text and "/redis" not in mounts:
            yield f"{identity(manifest)}: its configuration names /redis/password, mounts {mounts}"


def _address_problems(rendered):
    """Every address of the release in a configuration is that of a service that is there."""
    services = {
        one["metadata"]["name"]: {port["port"] for port in one["spec"]["ports"]}
        for one in rendered
        if one["kind"] == "Service"
    }
    for manifest in rendered:
        if manifest["kind"] != "ConfigMap":
            continue
        for key, text in manifest.get("data", {}).items():
            found = re.findall(r"([\w.-]+)\.[\w-]+\.svc\.[\w.]+:(\d+)", text)
            for host, port in found:
                service = host.rpartition(".")[2]  # a StatefulSet's pod stands before it
                if int(port) not in services.get(service, ()):
                    yield f"{identity(manifest)}, {key}: {host}:{port} is no service's"


def _certificate_problems(rendered):
    """Whom a configuration calls over TLS, and whom it believes, are names of the certificates."""
    certificates = [one for one in rendered if one["kind"] == "Certificate"]
    names = {name for one in certificates for name in one["spec"]["dnsNames"]}
    for part, config in configurations(rendered).items() if certificates else ():
        believed = config.get("trusted_gateways", []) + config.get("trusted_routers", [])
        for name in believed:
            if name not in names:
                yield f"{part}: believes {name}, which no certificate names"
        for endpoint in _endpoints(config):
            host = endpoint["address"].removeprefix("dns:///").rpartition(":")[0]
            if host not in names and f"*.{host.partition('.')[2]}" not in names:
                yield f"{part}: asks {host}, which no certificate names"


def _endpoints(node):
    """Those of a configuration that are asked over TLS."""
    if isinstance(node, list):
        for one in node:
            yield from _endpoints(one)
    elif isinstance(node, dict):
        if "address" in node and "ca_file" in node:
            yield node
        for one in node.values():
            yield from _endpoints(one)


def problems(rendered):
    """Texts that say what is wrong; empty where nothing is."""
    found = []
    names = [identity(manifest) for manifest in rendered]
    found += [f"{name} is there twice" for name in set(names) if names.count(name) > 1]
    for manifest in rendered:
        if manifest["metadata"].get("namespace") != "penstock":
            found.append(f"{identity(manifest)}: namespace {manifest['metadata'].get('namespace')}")
        if len(manifest["metadata"]["name"]) > 63:
            found.append(
                f"{identity(manifest)}: a name of {len(manifest['metadata']['name'])} characters"
            )
        found += _schema_problems(json.dumps(manifest))
    found += _reference_problems(rendered)
    found += _address_problems(rendered)
    found += _certificate_problems(rendered)
    for manifest, metadata, spec in pods(rendered):
        found += _security_problems(manifest, spec)
        found += _drain_problems(rendered, manifest, metadata["labels"], spec)
        if manifest["kind"] != "Pod":
            found += _rollout_problems(manifest, metadata["labels"], spec)
            found += _restart_problems(rendered, manifest, metadata, spec)
    found += _password_problems(rendered)
    found += _copy_problems(rendered)
    return found


def _copy_problems(rendered):
    """Dashboards and rules arrive as they are in files/."""
    for manifest in rendered:
        for key, text in manifest.get("data", {}).items():
            source = CHART / "files/dashboards" / key
            if key.endswith(".json") and json.loads(text) != json.loads(
                source.read_text(encoding="utf-8")
            ):
                yield f"{identity(manifest)}: {key} is not what files/ has"
        if manifest["kind"] == "PrometheusRule":
            name = manifest["metadata"]["name"].rpartition("-")[2]
            source = (CHART / "files/rules" / f"{name}.yaml").read_text(encoding="utf-8")
            if manifest["spec"] != yaml.safe_load(source):
                yield f"{identity(manifest)}: is not what files/rules/{name}.yaml says"
