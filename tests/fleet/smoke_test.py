"""smoke_test.py BIN_FOLDER: a fleet starts, answers, is killed and comes back, and stops.

Two experts, a router and a gateway with an answer cache in redis-server; 20 requests to begin with, the
same again for the cache, and 20 each once an expert was killed and started again at its address, and
while one is paused. The gateway takes another configuration, and the services end with 0.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, scrape, start_load, tiny_input, usage_of, write_tiny_model  # noqa: E402

REQUESTS = 20


def ask(fleet, gateway, pool, given):
    load = start_load(fleet, [gateway], pool, given, concurrency=2, duration_s=30,
                      rows=REQUESTS, arguments=["--count", REQUESTS])
    result = load.result()
    assert result["answered"] == REQUESTS and not result["errors"], result
    told = load.requests()
    assert len(told) == REQUESTS, told
    assert all(one["code"] == "OK" and one["target"] == gateway.grpc for one in told), told


def main():
    with Fleet(sys.argv[1]) as fleet:
        repository = fleet.folder / "models"
        write_tiny_model(repository, "tiny")
        given = tiny_input(fleet.folder / "rows.f32", REQUESTS)
        experts = [fleet.expert({"model_repository": str(repository), "trust_plaintext": True})
                   for _ in range(2)]
        tiny = {"name": "tiny", "replicas": [{"address": expert.grpc} for expert in experts]}
        router = fleet.router({"trust_plaintext": True, "pools": [
            {"name": "pool", "experts": [tiny]},
            {"name": "kept", "experts": [tiny], "cacheable": {"ttl": "600s"}}]})
        redis = fleet.redis()
        gateway = fleet.gateway({"routers": [{"address": router.grpc}], "cache": {"store": redis.url}})
        ask(fleet, gateway, "pool", given)
        accepted = sum(scrape(expert.metrics).sum("penstock_expert_accepted_total")
                       for expert in experts)
        assert REQUESTS <= accepted <= 2 * REQUESTS, accepted  # an attempt may be made again elsewhere
        for _ in range(20):  # a gateway learns in its own time which pools may be kept
            ask(fleet, gateway, "kept", given)
            kept = scrape(gateway.metrics).sum("penstock_gateway_cache_requests_total", source="local")
            if kept >= REQUESTS and redis.ask("DBSIZE") == str(REQUESTS):
                break
        else:
            raise AssertionError(f"{kept} from the gateway's cache, {redis.ask('DBSIZE')} in Redis")
        before = usage_of(experts[0].pid)
        assert before.resident_bytes > 1e6 and before.threads > 1 and before.descriptors > 3, before

        address = experts[0].grpc
        experts[0].kill()
        experts[0].restart()
        assert experts[0].grpc == address, (experts[0].grpc, address)
        ask(fleet, gateway, "pool", given)
        experts[1].pause()
        ask(fleet, gateway, "pool", given)
        experts[1].go_on()
        gateway.config["admission"] = {"max_queue": 10}
        gateway.write_config()
        reloads = {}
        for _ in range(200):  # a service looks at its file in its own time
            reloads = {labels["result"]: count for labels, count in
                       scrape(gateway.metrics).each("penstock_config_reloads_total")}
            if reloads.get("applied") or reloads.get("refused"):
                break
            ask(fleet, gateway, "pool", given)
        assert reloads.get("applied") and not reloads.get("refused"), (reloads, gateway.log_end())
        failed = fleet.end()
        assert not failed, failed
        assert not any(process.running() for process in fleet.processes)
    print("all requests answered; everything ended")


if __name__ == "__main__":
    main()
