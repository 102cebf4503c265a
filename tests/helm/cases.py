"""Values that no example has, and what must be rendered of them."""

import functools
import re
import subprocess

import yaml
from chart import CHART, ROOT, configurations, identity
from manifest_rules import pods, problems

EXTERNAL = {
    "example": {"enabled": False},
    "router": {
        "config": {
            "pools": [
                {"name": "p", "experts": [{"name": "a", "replicas": [{"address": "elsewhere:1"}]}]}
            ]
        }
    },
}


def _wanted(what, wanted, got):
    return [] if got == wanted else [f"{what}: wanted {wanted}, got {got}"]


def _named(rendered, name):
    return next(one for one in rendered if identity(one) == name)


def _certificates(rendered):
    return sorted(one["spec"]["secretName"] for one in rendered if one["kind"] == "Certificate")


def example_beside_models(helm):
    """The example's models are its own, wherever all others' are."""
    values = {"expert": {"models": {"persistentVolumeClaim": {"claimName": "models"}}}}
    return problems(helm.render_values(values))


def secret_of_ones_own(helm):
    """cert-manager issues nothing into a secret that somebody else looks after."""
    manager = {"enabled": True, "issuerRef": {"name": "issuer"}}
    tls = {"enabled": True, "certManager": manager, "secrets": {"gateway": "public"}}
    rendered = helm.render_values({"tls": tls})
    made = ["penstock-expert-tls", "penstock-router-tls"]
    gateway = _named(rendered, "Deployment/penstock-gateway")["spec"]["template"]["spec"]
    mounted = [one["secret"]["secretName"] for one in gateway["volumes"] if one["name"] == "tls"]
    return [
        *_wanted("certificates", made, _certificates(rendered)),
        *_wanted("the gateway's secret", ["public"], mounted),
    ]


def experts_elsewhere(helm):
    """With all experts elsewhere there is no certificate of experts, and none is asked for."""
    manager = {"enabled": True, "issuerRef": {"name": "issuer"}}
    issued = helm.render_values({**EXTERNAL, "tls": {"enabled": True, "certManager": manager}})
    secrets = {"gateway": "g", "router": "r"}
    given = helm.render_values({**EXTERNAL, "tls": {"enabled": True, "secrets": secrets}})
    made = ["penstock-gateway-tls", "penstock-router-tls"]
    return [
        *_wanted("certificates", made, _certificates(issued)),
        *problems(issued),
        *problems(given),
    ]


@functools.cache
def _together(helm):
    """One rendering for the cases that ask different parts of it."""
    return helm.render_values(
        {
            "networkPolicy": {"dnsPorts": [53, 5353]},
            "router": {"persistence": {"enabled": True, "size": "1Gi"}},
            "gateway": {
                "autoscaling": {"enabled": True},
                "resources": {"limits": {"cpu": 1}},
                "topologySpread": {"keys": ["kubernetes.io/hostname"]},
            },
        }
    )


def names_looked_up(helm):
    wanted = sorted((port, kind) for port in (53, 5353) for kind in ("TCP", "UDP"))
    found = []
    for component in ("gateway", "router"):
        policy = _named(_together(helm), f"NetworkPolicy/penstock-{component}")["spec"]
        rule = next(one for one in policy["egress"] if "to" not in one)
        ports = sorted((port["port"], port["protocol"]) for port in rule["ports"])
        found += _wanted(f"{component}'s ports of names", wanted, ports)
    return found


def log_fits_its_volume(helm):
    """A decision log drops its oldest segments before its volume is full."""
    log = configurations(_together(helm))["router", ""]["decision_log"]
    return _wanted("max_bytes on 1Gi", 3 * 2**28, log.get("max_bytes"))


def limits_are_requests(helm):
    """Where only a limit is given, Kubernetes requests as much: the autoscaler has its share."""
    return problems(_together(helm))


def spread_over_what_nodes_have(helm):
    gateway = _named(_together(helm), "Deployment/penstock-gateway")["spec"]["template"]["spec"]
    keys = [one["topologyKey"] for one in gateway["topologySpreadConstraints"]]
    return _wanted("the gateway is spread over", ["kubernetes.io/hostname"], keys)


def alone_with_a_gpu(helm):
    """Who is away during an upgrade is told."""
    sets = "experts.a.gpu.enabled=true,experts.b.gpu.enabled=true,experts.b.replicas=2"
    notes = helm.notes("--set", sets)
    told = re.findall(r"while it is replaced: (.*)\.", notes)
    return _wanted("NOTES.txt of pods with a GPU", ["a"], told)


def images_are_built(helm):
    """docs/install.md builds the images that the chart asks for, tags included."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    built = set(re.findall(r"-t (penstock/\S+)", text))
    asked = {
        container["image"]
        for _, _, spec in pods(helm.render("-f", CHART / "ci/gpu-values.yaml"))
        for container in spec["containers"]
    }
    return _wanted("images that docs/install.md builds", asked, built)


def configuration_by_the_docs(helm):
    """docs/kubernetes.md's command takes a configuration out of its ConfigMap."""
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    values = CHART / "ci/minimal-values.yaml"
    command = re.search(r"^helm template [^`]*--show-only[^`]* > router\.yaml$", text, re.MULTILINE)
    words = command[0].replace(" values.yaml", f" {values}").removesuffix(" > router.yaml")
    path = f"{helm.folder}:{helm.environment['PATH']}"
    told = subprocess.run(
        ["bash", "-c", words],
        cwd=ROOT,
        env={**helm.environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    wanted = configurations(helm.render("-f", values))["router", ""]
    return _wanted("what docs/kubernetes.md extracts", wanted, yaml.safe_load(told.stdout))


def certificates_are_shown(helm):
    """Where a server wants its client's certificate, its pod's probe has one, and so has `helm test`."""
    secrets = {part: part for part in ("gateway", "router", "expert")}
    found = []
    for wanted in (False, True):
        tls = {"enabled": True, "secrets": secrets, "clientCertificates": wanted}
        rendered = helm.render_values({"tls": tls})
        for manifest, metadata, spec in pods(rendered):
            component = metadata["labels"]["app.kubernetes.io/component"]
            container = spec["containers"][0]
            if component == "test":
                words = container["args"]
            else:
                words = container["readinessProbe"]["exec"]["command"]
            shows = wanted or component in ("router", "expert")
            if ("/tls/tls.crt" in words and "/tls/tls.key" in words) != shows:
                found.append(f"clientCertificates={wanted}: {identity(manifest)} asks by {words}")
    return found


CASES = {
    find.__name__: find
    for find in (
        example_beside_models, secret_of_ones_own, experts_elsewhere, names_looked_up,
        log_fits_its_volume, limits_are_requests, spread_over_what_nodes_have, alone_with_a_gpu,
        images_are_built, configuration_by_the_docs, certificates_are_shown,
    )
}  # fmt: skip
