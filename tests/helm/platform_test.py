"""platform_test.py BIN_FOLDER: what the chart renders, run here.

1. Every configuration of every example passes --validate_config of the binary that it is for.
2. The default (plaintext, two models of the chart's own) and the production example (mutual TLS
   from the rendered Certificates' names, keys, three routers that share a Redis with a password,
   trained files) are started, addresses and paths replaced. Each pod's program says that it is
   ready where its probe is to ask it. The command of `helm test` and that of
   NOTES.txt are answered, and what the latter's gateway answers is kept in Redis.
3. Redis starts by the chart's script, wants its password, and the readiness command says yes.
4. A pool that is put to sleep counts the requests that KEDA wakes it for, and answers once it is
   back.
5. The platforms drain in the time that their pods have.
"""

import re
import shlex
import subprocess
import sys
import time

import yaml
from chart import CHART, EXAMPLES, ROOT, Helm, configurations, identity
from loopback import PASSWORD, Mounts, replaced, test_command
from manifest_rules import pods

sys.path.insert(0, str(ROOT / "tests"))
from fleet import Fleet, NotReady, scrape  # noqa: E402
from fleet.ports import free_port  # noqa: E402

ROUTERS = "dns:///penstock-router.penstock.svc.cluster.local:8101"
CHART_MODELS = CHART / "files/example"
PATIENCE_S = 30


def run(words):
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=120
    )


def until(what, attempt):
    """What `attempt` returns, once that is not None."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = attempt()
        if found is not None:
            return found
        time.sleep(0.05)  # a poll, under the deadline above
    raise NotReady(f"{what}: not within {PATIENCE_S} s")


def example_models(folder):
    """The example's volume, laid out as the pod's `items` say."""
    volume = next(
        volume
        for _, _, spec in pods(Helm().render())
        for volume in spec.get("volumes", [])
        if volume["name"] == "models"
    )
    for item in volume["configMap"]["items"]:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((CHART_MODELS / item["key"]).read_bytes())
    return folder


def validate(helm, binaries, folder):
    """Every example's configurations, by their own binaries."""
    checked = 0
    for path in [None, *EXAMPLES]:
        rendered = helm.render(*([] if path is None else ["-f", path]))
        name = "default" if path is None else path.name
        mounts = Mounts(rendered, folder / f"validate-{name}")
        found = configurations(rendered)
        assert {component for component, _ in found} == {
            "gateway",
            "router",
            "expert",
        }, found.keys()
        for (component, pool), config in found.items():
            file = mounts.folder / f"{component}-{pool}.yaml"
            file.write_text(
                yaml.safe_dump(replaced(config, mounts.rules(component))), encoding="utf-8"
            )
            told = run([binaries / f"penstock-{component}", "--config", file, "--validate_config"])
            assert told.returncode == 0, f"{name}, {component} {pool}: {told.stdout}{told.stderr}"
            checked += 1
    print(f"{checked} configurations are taken by their services")
    return checked


def replicas(rendered, name):
    return next(one for one in rendered if identity(one) == name)["spec"]["replicas"]


class Platform:
    """The services of one rendering, each started from its rendered configuration."""

    def __init__(self, fleet, rendered, name, models=None):
        self.fleet, self.rendered = fleet, rendered
        self.mounts = Mounts(rendered, fleet.folder / f"mounts-{name}")
        self.tls = (self.mounts.folder / "ca.crt").exists()
        self.redis_port = None
        configs = configurations(rendered)
        at = {}  # what stands in configurations: what listens here
        if any(identity(one) == "StatefulSet/penstock-redis" for one in rendered):
            self._start_redis()
        self.services = []
        for (component, pool), config in configs.items():
            if component != "expert":
                continue
            rules = self.mounts.rules("expert")
            rules = [("^/models$", models), *rules] if models else rules
            service = fleet.expert(self._here(config, rules), name=f"{name}-expert-{pool}")
            self.services.append(("expert", service))
            at[f"dns:///penstock-expert-{pool}.penstock.svc.cluster.local:8201"] = (
                f"dns:///{self._address(service)}"
            )
        gateway = configs["gateway", ""]
        # Here the pods behind the routers' one name differ by port: each has a name of its own.
        (named,) = gateway["routers"]
        assert named["address"] == ROUTERS, named
        gateway["routers"] = []
        for number in range(replicas(rendered, "StatefulSet/penstock-router")):
            rules = [*self.mounts.rules("router", number), *self._rules(at)]
            router = fleet.router(self._here(configs["router", ""], rules), name=f"{name}-router")
            self.services.append(("router", router))
            endpoint = {**named, "address": f"dns:///{self._address(router)}"}
            gateway["routers"].append(endpoint)
        rules = [*self.mounts.rules("gateway"), *self._rules(at)]
        self.gateway = fleet.gateway(self._here(gateway, rules), name=f"{name}-gateway")
        self.services.append(("gateway", self.gateway))
        self.target = self._address(self.gateway)

    def probe(self):
        """Every pod's readiness as the kubelet asks it, where it runs a program for that."""
        asked = 0
        running = {}
        for kind, service in self.services:
            running.setdefault(kind, []).append(service)
        for manifest, metadata, spec in pods(self.rendered):
            command = spec["containers"][0].get("readinessProbe", {}).get("exec", {}).get("command")
            component = metadata["labels"]["app.kubernetes.io/component"]
            if command is None or component not in running:
                continue
            for service in running[component]:
                rules = [
                    ("^/usr/bin/", f"{self.fleet.binaries}/"),
                    (r"^127\.0\.0\.1:\d+$", service.grpc),
                    ("^/tls/", f"{self.mounts.folder}/{component}/"),
                ]
                told = run(replaced(command, rules))
                assert told.returncode == 0, (identity(manifest), told)
                asked += 1
        return asked

    def _address(self, service):
        return f"localhost:{service.grpc.rpartition(':')[2]}"

    def _rules(self, at):
        store = (
            r"redis://penstock-redis\.penstock\.svc\.cluster\.local:6379",
            f"redis://127.0.0.1:{self.redis_port}",
        )
        return [store, *((f"^{re.escape(there)}$", here) for there, here in at.items())]

    def _here(self, config, rules):
        """Listening addresses, too; nothing of the cluster's may be left."""
        config = replaced(config, [*rules, (r"^0\.0\.0\.0:\d+$", "127.0.0.1:0")])
        assert "cluster.local:" not in str(config), config
        return config

    def _start_redis(self):
        """By the script and with the configuration of the ConfigMap, at a port of this machine."""
        scripts = next(one for one in self.rendered if identity(one) == "ConfigMap/penstock-redis")[
            "data"
        ]
        folder = self.mounts.folder
        self.redis_port = free_port()
        (folder / "redis-data").mkdir()
        for name, text in scripts.items():
            text = text.replace("/etc/redis/", f"{folder}/").replace(
                "/redis/password", f"{folder}/password"
            )
            text = text.replace(
                "dir /data", f"dir {folder}/redis-data\nport {self.redis_port}\nbind 127.0.0.1"
            )
            text = text.replace("redis-cli ping", f"redis-cli -p {self.redis_port} ping")
            (folder / name).write_text(text, encoding="utf-8")
        self.redis = self.fleet.command("chart-redis", ["sh", folder / "start.sh"])
        until(
            "redis's readiness command",
            lambda: run(["sh", folder / "ping.sh"]).returncode == 0 or None,
        )
        stranger = run(["redis-cli", "-p", self.redis_port, "PING"])
        assert "NOAUTH" in stranger.stdout + stranger.stderr, stranger
        policy = self.ask_redis("CONFIG", "GET", "maxmemory-policy")
        assert policy.split() == ["maxmemory-policy", "noeviction"], policy

    def ask_redis(self, *words):
        """What it says to who knows the password."""
        return subprocess.run(
            ["redis-cli", "-p", str(self.redis_port), *words],
            env={"REDISCLI_AUTH": PASSWORD, "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout

    def infer(self):
        """As `helm test` does, until the gateway has heard of its routers."""
        words = test_command(self.rendered, self.fleet.binaries, self.mounts, self.target)

        def attempt():
            self.told = run(words)
            return self.told.stdout if self.told.returncode == 0 else None

        try:
            return until("an answer", attempt)
        except NotReady as why:
            logs = "\n".join(service.log_end(10) for _, service in self.services)
            raise AssertionError(
                f"{why}: {words[:4]}\n{self.told.stdout}{self.told.stderr}\n{logs}"
            ) from None

    def notes_command(self, notes):
        """The `penstock` command of NOTES.txt."""
        line = next(line for line in notes.splitlines() if line.strip().startswith("penstock "))
        words = replaced(
            shlex.split(line),
            [
                ("^penstock$", self.fleet.binaries / "penstock"),
                (r"^(127\.0\.0\.1|localhost):8001$", self.target),
                (r"^ca\.crt$", self.mounts.folder / "ca.crt"),
                ("^KEY$", self.mounts.folder / "key"),
            ],
        )
        told = run(words)
        assert told.returncode == 0 and "digits" in told.stdout, (words, told)

    def drain(self):
        """All at once, as a whole release goes; each within its pod's time."""
        allowed = {
            metadata["labels"]["app.kubernetes.io/component"]: spec["terminationGracePeriodSeconds"]
            for _, metadata, spec in pods(self.rendered)
            if "terminationGracePeriodSeconds" in spec
        }
        began = time.monotonic()
        wrong = self.fleet.end([service for _, service in self.services])
        took = time.monotonic() - began
        assert not wrong, wrong
        assert took < min(allowed.values()), (took, allowed)
        return took


def sleep_and_wake(platform):
    """What a sleeping pool does to requests is what wakes it; once awake it answers again."""
    expert = next(service for kind, service in platform.services if kind == "expert")
    router = next(service for kind, service in platform.services if kind == "router")

    def counted():
        samples = scrape(router.metrics)
        refused = samples.sum("penstock_router_requests_total", pool="digits", code="UNAVAILABLE")
        return refused, samples.sum("penstock_router_dispatches_total", pool="digits")

    expert.stop()
    words = test_command(
        platform.rendered, platform.fleet.binaries, platform.mounts, platform.target
    )
    refused_before, _ = counted()
    told = run(words)
    assert told.returncode != 0 and "UNAVAILABLE" in told.stderr, told
    refused, dispatches_before = counted()
    assert refused > refused_before, "the request that was refused is not counted"
    expert.restart()
    platform.infer()
    _, dispatches = counted()
    assert dispatches > dispatches_before, "the answer's dispatch is not counted"


def main():
    helm = Helm()
    with Fleet(sys.argv[1]) as fleet:
        validate(helm, fleet.binaries, fleet.folder)

        models = example_models(fleet.folder / "example-models")
        platform = Platform(fleet, helm.render(), "default", models)
        answer = platform.infer()
        assert "penstock_energy_j" in answer and "label" in answer, answer
        platform.notes_command(helm.notes())
        sleep_and_wake(platform)
        print(f"the default answers; drained in {platform.drain():.1f} s")

        values = ["-f", CHART / "ci/production-values.yaml"]
        production = Platform(fleet, helm.render(*values), "production")
        assert production.tls and production.redis_port
        routers = [service for kind, service in production.services if kind == "router"]
        assert len(routers) == 3, production.services
        answer = production.infer()
        assert "penstock_energy_j" in answer, answer
        assert production.probe() >= len(production.services), "a pod has no probe of its own"
        until(
            "an answer in Redis, where all gateways find it",
            lambda: production.ask_redis("--scan", "--pattern", "*v:answer/*").strip() or None,
        )
        production.notes_command(helm.notes(*values))
        # Routers believe the name of the gateway's certificate: without one there is no answer.
        stranger = run(
            [
                fleet.binaries / "penstock",
                "status",
                "--once",
                "--target",
                f"localhost:{routers[0].grpc.rpartition(':')[2]}",
                "--ca_file",
                production.mounts.folder / "ca.crt",
            ]
        )
        assert stranger.returncode != 0, stranger
        logs = list(production.mounts.folder.glob("router*-data/decisions/*"))
        assert logs, "no router keeps a decision log"
        print(f"production answers over TLS; drained in {production.drain():.1f} s")
        production.redis.terminate()
        production.redis.process.wait(20)


if __name__ == "__main__":
    main()
