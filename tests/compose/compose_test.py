#!/usr/bin/env python3
"""compose_test.py BIN: deploy/compose.yaml without an engine, some seconds.

The file is read strictly, every file that it names is there, and each configuration passes
`--validate_config` of the real programs. Then the platform itself runs as processes: the same
configurations with the services' names replaced by addresses of this machine, each health check's
own command, and the request that the file's head tells.
"""

import copy
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from compose.compose_file import ComposeFile  # noqa: E402
from fleet import Fleet, scrape  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
OURS = ("expert-small", "expert-large", "router", "gateway")  # in the order in which they start
FOREIGN_CHECKS = {
    "redis": ["redis-cli", "ping"],
    "redis-cache": ["redis-cli", "ping"],
    "prometheus": ["wget"],
    "grafana": ["wget"],
}


def replaced(value, addresses):
    """`value` with every NAME:PORT of `addresses` replaced."""
    if isinstance(value, dict):
        return {key: replaced(one, addresses) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, addresses) for one in value]
    if isinstance(value, str):
        for name, address in addresses.items():
            value = value.replace(name, address)
    return value


def configuration(compose, name):
    """(path below the working folder, what is in it) of a service's --config."""
    words = compose.services[name]["command"]
    assert words[1] == "--config" and len(words) == 3, words
    with open(ROOT / words[2], encoding="utf-8") as file:
        return words[2], yaml.safe_load(file)


def check_files(compose, binaries):
    problems = compose.problems()
    assert not problems, "\n".join(problems)
    assert set(compose.services) == {*OURS, *FOREIGN_CHECKS}, set(compose.services)
    for name in OURS:
        service = compose.services[name]
        path, config = configuration(compose, name)
        # Inside, a path of the repository is below the working folder.
        held = [
            target
            for source, target, _ in compose.mounts(name)
            if target == f"{service['working_dir']}/{source.relative_to(ROOT)}"
        ]
        assert len(held) == len(compose.mounts(name)) > 0, compose.mounts(name)
        for named in (
            path,
            *words_with_files(config),
            *words_with_files(service["healthcheck"]["test"]),
        ):
            assert (ROOT / named).exists(), f"{name}: {named} is not there"
            assert any(
                f"{service['working_dir']}/{named}".startswith(target) for target in held
            ), named
        done = subprocess.run(
            [binaries / service["command"][0], "--config", path, "--validate_config"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (
            int(service["stop_grace_period"].removesuffix("s")) > 31
            and "drain" not in config["server"]
        )
        assert service["read_only"] and service["cap_drop"] == ["ALL"], service
    stages = [
        line.split()[-1]
        for line in (ROOT / "deploy/images/Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("FROM ")
    ]
    assert compose.services["gateway"]["build"]["target"] in stages, stages
    assert (COMPOSE.parent / compose.services["gateway"]["build"]["context"]).resolve() == ROOT
    # State must not be evicted, and kept answers must.
    for name, policy in (("redis", "noeviction"), ("redis-cache", "allkeys-lru")):
        command = compose.services[name]["command"]
        assert command[command.index("--maxmemory-policy") + 1] == policy, command
    for name, command in FOREIGN_CHECKS.items():
        assert compose.services[name]["healthcheck"]["test"][1:][: len(command)] == command, name
    ports = [
        text.split(":")[1]
        for service in compose.services.values()
        for text in service.get("ports", [])
    ]
    assert sorted(ports) == ["3000", "8000", "8001", "9090"], ports
    # What is published of the gateway is where it listens: calls and the page.
    gateway = configuration(compose, "gateway")[1]
    listens = {gateway["server"]["grpc"], gateway["page"]["http"]}
    published = {text.rpartition(":")[2] for text in compose.services["gateway"]["ports"]}
    assert {f"0.0.0.0:{port}" for port in published} == listens, (published, listens)


def words_with_files(value):
    """Paths of the repository, wherever they stand."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [path for one in value for path in words_with_files(one)]
    text = str(value).removeprefix("image=@")
    return [text] if text.startswith(("examples/", "deploy/")) else []


def check_refusals():
    """What check_files() would not pass over."""
    broken = ComposeFile(COMPOSE)
    broken.services["redis"]["restrat"] = "always"
    broken.services["redis"]["stop_grace_period"] = "a while"
    broken.services["grafana"]["depends_on"] = {"prometeus": {"condition": "service_healthy"}}
    broken.services["prometheus"]["ports"] = ["9090:9090"]
    broken.services["router"] = {**broken.services["router"], "volumes": ["./nowhere:/srv:ro"]}
    told = "\n".join(broken.problems())
    for part in ("restrat", "a while", "prometeus", "9090:9090", "nowhere"):
        assert part in told, (part, told)
    broken.services["prometheus"]["volumes"] = []
    assert "volumes.prometheus: nobody mounts it" in broken.problems(), broken.problems()


def check_targets(compose):
    """Prometheus scrapes each of our services where it exports, under the job that rules and
    dashboards know.
    """
    with open(ROOT / "deploy/compose/targets.yaml", encoding="utf-8") as file:
        scraped = {
            target: group["labels"]["job"]
            for group in yaml.safe_load(file)
            for target in group["targets"]
        }
    wanted = {}
    for name in OURS:
        port = configuration(compose, name)[1]["server"]["metrics"].rpartition(":")[2]
        wanted[f"{name}:{port}"] = compose.services[name]["command"][0]
    assert scraped == wanted, (scraped, wanted)
    with open(ROOT / "deploy/prometheus/prometheus.yaml", encoding="utf-8") as file:
        prometheus = yaml.safe_load(file)
    patterns = [
        pattern
        for job in prometheus["scrape_configs"]
        for one in job.get("file_sd_configs", [])
        for pattern in one["files"]
    ]
    inside = [pathlib.PurePath(target) for _, target, _ in compose.mounts("prometheus")]
    assert any(
        path.match("/etc/prometheus/" + pattern) for path in inside for pattern in patterns
    ), patterns
    for folder in {pathlib.PurePath(pattern).parent for pattern in prometheus["rule_files"]}:
        assert pathlib.PurePath("/etc/prometheus") / folder in inside, folder
    with tempfile.TemporaryDirectory() as folder:
        # As the container sees them: rules and targets are named relative to the configuration.
        for source, target, _ in compose.mounts("prometheus"):
            if target.startswith("/etc/prometheus/"):
                place = pathlib.Path(folder + target)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(source)
        checked = subprocess.run(
            ["promtool", "check", "config", f"{folder}/etc/prometheus/prometheus.yml"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0 and "rule files found" in checked.stdout, (
            checked.stdout + checked.stderr
        )
    dashboards = [target for _, target, _ in compose.mounts("grafana")]
    for path in (ROOT / "deploy/grafana/provisioning/dashboards").glob("*.yaml"):
        with open(path, encoding="utf-8") as file:
            for provider in yaml.safe_load(file)["providers"]:
                assert provider["options"]["path"] in dashboards, provider


def until_it_passes(command, patience_s=30):
    """A health check is asked until it passes, as an engine does; what it printed."""
    until = time.monotonic() + patience_s
    while True:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode == 0:
            return done.stdout
        assert (
            time.monotonic() < until
        ), f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr}"


def check_stores(binaries, gateway, words, state, kept):
    """The same request again is answered from what was kept, in one Redis; the hour's budget is in
    the other, and something is spent of it.
    """
    command = [binaries / words[0], *words[1:], "--target", gateway.grpc, "--json"]
    until = time.monotonic() + 60
    while (
        scrape(gateway.metrics).sum("penstock_gateway_cache_requests_total", source="local") == 0
    ):
        until_it_passes(command)
        assert time.monotonic() < until, "asked again and again, nothing is answered from the cache"
    assert kept.ask("--scan", "--pattern", "penstock:cache:*"), "no answer is kept in its Redis"
    assert not state.ask("--scan", "--pattern", "penstock:cache:*"), "answers are kept with state"
    budgets = [binaries / "penstock", "budget", "get", "--target", gateway.grpc, "--json"]
    until = time.monotonic() + 60
    while True:
        told = json.loads(until_it_passes(budgets))
        hourly = [one for one in told["budgets"] if one["budget"].get("per") == "HOUR"]
        if len(hourly) == 1 and float(hourly[0].get("spent", 0)) > 0:
            break
        assert time.monotonic() < until, f"nothing is spent of an hour's budget: {told}"
    assert state.ask("--scan", "--pattern", "penstock:router:*"), "no budget is in Redis"


def run_platform(compose, binaries):
    with Fleet(binaries) as fleet:
        state, kept = fleet.redis(name="state"), fleet.redis(name="kept")
        addresses = {
            "redis:6379": f"127.0.0.1:{state.port}",
            "redis-cache:6379": f"127.0.0.1:{kept.port}",
        }
        assert state.ask("PING") == kept.ask("PING") == "PONG"
        running = {}
        for name in OURS:
            config = replaced(copy.deepcopy(configuration(compose, name)[1]), addresses)
            own = {
                key: config["server"].pop(key) for key in ("grpc", "metrics")
            }  # the fleet chooses
            if name == "gateway":
                config["page"] = {"http": "off"}
            process = fleet.service(
                [compose.services[name]["command"][0]], config, host=None, name=name
            )
            running[name] = process
            port = own["grpc"].rpartition(":")[2]
            addresses[f"{name}:{port}"] = process.grpc
            check = replaced(
                compose.services[name]["healthcheck"]["test"][1:],
                {f"127.0.0.1:{port}": process.grpc},
            )
            assert process.grpc in check, check
            until_it_passes([binaries / check[0], *check[1:]])
            # And it says no where nobody is: this port was never anybody's.
            away = replaced(
                compose.services[name]["healthcheck"]["test"][1:],
                {f"127.0.0.1:{port}": "127.0.0.1:1"},
            )
            assert (
                subprocess.run(
                    [binaries / away[0], *away[1:]], cwd=ROOT, capture_output=True, check=False
                ).returncode
                != 0
            ), away
        head = COMPOSE.read_text(encoding="utf-8").replace("\\\n#", " ")
        told = [line for line in head.splitlines() if " exec gateway " in line]
        words = shlex.split(told[0].split(" exec gateway ")[1])
        answer = until_it_passes(
            [binaries / words[0], *words[1:], "--target", running["gateway"].grpc, "--json"]
        )
        assert "penstock_energy_j" in answer, answer
        accepted = {
            name: scrape(running[name].metrics).sum("penstock_expert_accepted_total")
            for name in ("expert-small", "expert-large")
        }
        assert accepted["expert-small"] >= 2 and accepted["expert-large"] >= 1, accepted
        check_stores(binaries, running["gateway"], words, state, kept)
        failed = fleet.end()
        assert not failed, failed
    print(f"{len(OURS)} services, redis; accepted {accepted}")


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    os.chdir(ROOT)
    compose = ComposeFile(COMPOSE)
    check_files(compose, binaries)
    check_refusals()
    check_targets(compose)
    run_platform(compose, binaries)


if __name__ == "__main__":
    main()
