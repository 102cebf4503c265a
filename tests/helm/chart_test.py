"""chart_test.py [--update]: the chart lints, renders for every example and every boolean both ways,
and renders what the golden manifests say.

Rendered manifests are held to manifest_rules.py. --update writes golden/ anew, to be read before it
is committed.
"""

import argparse
import base64
import concurrent.futures
import difflib
import gzip
import json
import pathlib
import shlex
import sys
import tempfile

import yaml
from chart import CHART, EXAMPLES, ROOT, Helm, configurations, identity
from cases import CASES
from manifest_rules import pods, problems
from queries import metric_problems

sys.path.insert(0, str(ROOT / "helm"))
from values_file import read_values  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
# What booleans need to have an effect.
BENEATH = HERE / "booleans-values.yaml"
SECRETS = ["tls.secrets.gateway=g,tls.secrets.router=r,tls.secrets.expert=e"]
# Values that a boolean, or one of its two values, needs beside booleans-values.yaml, where others
# must not have them.
NEEDS = {
    "tls.enabled": SECRETS,
    "tls.clientCertificates": ["tls.enabled=true", *SECRETS],
    "tls.certManager.enabled": ["tls.enabled=true"],
    "tls.certManager.enabled=false": SECRETS,
    "redis.keepsAnswers": ["redis.enabled=true"],
    "redis.persistence.enabled": ["redis.enabled=true"],
    "router.autoscaling.enabled": ["redis.enabled=true"],
}
# A release is kept in a Secret, of 1 MiB at most, in base64: charts and manifests, compressed.
MOST_BYTES = 600_000


class Findings:
    def __init__(self):
        self.checks, self.problems = 0, []

    def add(self, where, found):
        self.checks += 1
        self.problems += [f"{where}: {one}" for one in found]


def cases():
    """{name: helm's arguments} of the default and of every example."""
    found = {"default": []}
    found.update({path.name.removesuffix("-values.yaml"): ["-f", path] for path in EXAMPLES})
    if len(found) < 5:
        sys.exit(f"{CHART}/ci: {len(found) - 1} examples")
    return found


def readable(rendered):
    """The manifests as text; what is copied from files/, and held to it, is only named."""
    for manifest in rendered:
        for key in manifest.get("data", {}):
            if key.endswith(".json"):
                manifest["data"][key] = f"(files/dashboards/{key})"
        for key in manifest.get("binaryData", {}):
            content = (CHART / "files/example" / key).read_bytes()
            if base64.b64decode(manifest["binaryData"][key]) != content:
                raise AssertionError(f"{key} is not what files/example has")
            manifest["binaryData"][key] = f"(files/example/{key})"
        if manifest["kind"] == "PrometheusRule":
            manifest["spec"] = "(of files/rules)"
    ordered = sorted(rendered, key=identity)
    return yaml.safe_dump_all(ordered, sort_keys=True, width=100)


def golden_problems(name, rendered, update):
    path, text = GOLDEN / f"{name}.yaml", readable(rendered)
    if update:
        path.write_text(text, encoding="utf-8")
        return []
    if not path.exists():
        return [f"{path} is not there: --update makes it"]
    before = path.read_text(encoding="utf-8")
    if before == text:
        return []
    lines = difflib.unified_diff(
        before.splitlines(), text.splitlines(), str(path), "rendered", lineterm=""
    )
    return [
        "differs from the golden manifest (--update writes it anew):\n"
        + "\n".join(list(lines)[:60])
    ]


def check_example(helm, name, arguments, findings, update):
    told = helm.run("helm", "lint", CHART, "--strict", *arguments)
    findings.add(name, [] if told.returncode == 0 else [f"helm lint: {told.stdout}{told.stderr}"])
    told = helm.template(*arguments)
    if told.returncode != 0:
        findings.add(name, [f"helm template: {told.stderr}"])
        return
    rendered = [one for one in yaml.load_all(told.stdout, Loader=yaml.CSafeLoader) if one]
    findings.add(name, problems(rendered))
    # kubectl reads it, too: kustomize refuses what is no resource, and resources of one name.
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "all.yaml").write_text(told.stdout, encoding="utf-8")
        (folder / "kustomization.yaml").write_text("resources: [all.yaml]\n", encoding="utf-8")
        kustomized = helm.run("kubectl", "kustomize", folder)
    read = [one for one in yaml.load_all(kustomized.stdout or "", Loader=yaml.CSafeLoader) if one]
    findings.add(
        name,
        (
            []
            if len(read) == len(rendered)
            else [f"kubectl kustomize read {len(read)} of {len(rendered)}: {kustomized.stderr}"]
        ),
    )
    files = b"".join(path.read_bytes() for path in sorted(CHART.rglob("*")) if path.is_file())
    size = len(base64.b64encode(gzip.compress(base64.b64encode(files) + told.stdout.encode())))
    findings.add(
        name, [] if size < MOST_BYTES else [f"a release of {size} bytes, more than {MOST_BYTES}"]
    )
    findings.add(name, golden_problems(name, rendered, update))
    findings.add(name, notes_problems(helm, arguments, rendered))
    findings.add(name, metric_problems(rendered))


def notes_problems(helm, arguments, rendered):
    """Commands of NOTES.txt name what is there, with flags that their programs have."""
    notes = helm.notes(*arguments)
    commands = [
        line.strip()
        for line in notes.splitlines()
        if line.strip().startswith(("kubectl ", "helm ", "penstock "))
    ]
    if len(commands) < 3 or "<no value>" in notes:
        return [f"NOTES.txt has {len(commands)} commands:\n{notes}"]
    made = {identity(one).lower() for one in rendered}
    made |= {
        f"secret/{one['spec']['secretName']}" for one in rendered if one["kind"] == "Certificate"
    }
    routers = next(one for one in rendered if identity(one) == "StatefulSet/penstock-router")
    found = []
    if ("There is one router" in notes) != (routers["spec"].get("replicas") == 1):
        found.append(f"{routers['spec'].get('replicas')} routers, and NOTES.txt says:\n{notes}")
    for command in commands:
        program, *words = shlex.split(command.partition(">")[0])
        if program == "penstock":
            continue  # platform_test.py runs it
        names = [word for word in words if word.startswith(("service/", "deployment/"))]
        names += [f"secret/{words[words.index('secret') + 3]}"] if "secret" in words else []
        found += [f"`{command}`: {name} is not installed" for name in names if name not in made]
        # Without a cluster all that may go wrong is that there is none.
        answer = helm.run(program, *words)
        if answer.returncode == 0 or "refused" not in answer.stderr or "unknown" in answer.stderr:
            found.append(f"`{command}` says: {answer.stderr}")
    return found


def wiring_problems(helm):
    """Experts find every pool that serves their model, unless they say where they are."""
    values = {
        "experts": {"a": {}, "b": {"config": {"models": ["a", "c_1"]}}},
        "router": {
            "config": {
                "pools": [
                    {
                        "name": "p",
                        "experts": [
                            {"name": "a"},
                            {"name": "other", "model": "c_1"},
                            {"name": "hosted", "replicas": [{"address": "elsewhere:1"}]},
                        ],
                    }
                ]
            }
        },
    }
    rendered = helm.render_values(values)
    router = configurations(rendered)["router", ""]
    pool = next(pool for pool in router["pools"] if pool["name"] == "p")
    found = {
        expert["name"]: [replica["address"] for replica in expert["replicas"]]
        for expert in pool["experts"]
    }
    at = "dns:///penstock-expert-{}.penstock.svc.cluster.local:8201"
    wanted = {
        "a": [at.format("a"), at.format("b")],
        "other": [at.format("b")],
        "hosted": ["elsewhere:1"],
    }
    return [] if found == wanted else [f"wanted {wanted}, got {found}"]


def checksum_problems(helm):
    """What restarts pods: with `reload` only what a service does not take while it serves. With
    `restart` what old pods mount stays as it is; with `reload` all mount what is changed."""
    found = []

    def sums(*sets):
        words = [word for one in sets for word in ("--set", one)]
        return {
            identity(one): (
                metadata["annotations"]["checksum/config"],
                next(each for each in spec["volumes"] if each["name"] == "config")["configMap"],
            )
            for one, metadata, spec in pods(
                helm.render("-f", CHART / "ci/minimal-values.yaml", *words)
            )
            if one["kind"] != "Pod"
        }

    def changed(*sets, mode):
        before, after = sums(f"configChange={mode}"), sums(f"configChange={mode}", *sets)
        restarted = {name for name in before if before[name][0] != after[name][0]}
        renamed = {name for name in before if before[name][1] != after[name][1]}
        if renamed != (restarted if mode == "restart" else set()):
            found.append(f"configChange={mode}: {sets} mounts another ConfigMap in {renamed}")
        return {name.partition("/")[2].removeprefix("penstock-") for name in restarted}

    asked = [
        (
            ["router.config.pools[0].name=other,router.config.pools[0].experts[0].name=linear"],
            {"router"},
            set(),
        ),
        (["gateway.config.admission.max_queue=7"], {"gateway"}, set()),
        (["router.config.watts_per_core=3"], {"router"}, {"router"}),
        (["router.replicas=2,router.config.store=memory://"], {"router"}, {"router"}),
        (["experts.linear.config.execution.threads=2"], {"expert-linear"}, {"expert-linear"}),
    ]
    for sets, restart, reload in asked:
        for mode, wanted in (("restart", restart), ("reload", reload)):
            restarted = changed(*sets, mode=mode)
            if restarted != wanted:
                found.append(f"configChange={mode}: {sets} restarts {restarted}, wanted {wanted}")
    return found


def booleans():
    """{path: its default, as helm's --set writes it}"""
    values = read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    return {".".join(value.path): value.default for value in values if value.type == "boolean"}


def check_boolean(helm, path, default, unchanged):
    """Both ways, which must render something else each. `unchanged` is rendered by default."""
    found, texts = [], []
    for setting in ("true", "false"):
        needed = [*NEEDS.get(path, []), *NEEDS.get(f"{path}={setting}", [])]
        sets = [word for one in needed for word in ("--set", one)]
        rendered = unchanged
        if sets or setting != default:
            try:
                rendered = helm.render("-f", BENEATH, *sets, "--set", f"{path}={setting}")
            except RuntimeError as why:
                return [str(why)]
        found += [f"{setting}: {one}" for one in problems(rendered)]
        texts.append(json.dumps(sorted(rendered, key=identity)))
    return found + (["makes no difference"] if texts[0] == texts[1] else [])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write the golden manifests anew")
    options = parser.parse_args()
    helm, findings = Helm(), Findings()
    for name, arguments in cases().items():
        check_example(helm, name, arguments, findings, options.update)
    left_over = {path.stem for path in GOLDEN.glob("*.yaml")} - set(cases())
    findings.add("golden", [f"{name}.yaml is of no example" for name in sorted(left_over)])
    findings.add("checksums", checksum_problems(helm))
    findings.add("wiring", wiring_problems(helm))
    for name, find in CASES.items():
        try:
            findings.add(name, find(helm))
        except RuntimeError as why:
            findings.add(name, [str(why)])
    paths, unchanged = booleans(), helm.render("-f", BENEATH)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        checked = pool.map(lambda one: check_boolean(helm, *one, unchanged), paths.items())
        for path, found in zip(paths, checked):
            findings.add(path, found)
    for problem in findings.problems:
        print(problem)
    print(
        f"{len(cases())} examples, {len(paths)} booleans, {findings.checks} checks, "
        f"{len(findings.problems)} problems"
    )
    sys.exit(1 if findings.problems or len(paths) < 20 else 0)


if __name__ == "__main__":
    main()
