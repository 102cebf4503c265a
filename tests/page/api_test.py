"""api_test.py BIN_FOLDER: the JSON API of a gateway's page, over real processes."""

import contextlib
import http.client
import json
import pathlib
import socket
import ssl
import sys
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, NotReady  # noqa: E402
from page_platform import ADMIN, HOSTILE_POOL, HOSTILE_TENANT, USER, PagePlatform  # noqa: E402

EVERYTHING = ("summary", "pools", "experts", "budgets", "decisions")


class ApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet(BINARIES)
        cls.platform = PagePlatform(cls.fleet)

    @classmethod
    def tearDownClass(cls):
        wrong = cls.fleet.end()
        cls.fleet.close()
        assert not wrong, wrong

    def status_of(self, path, key=ADMIN, **how):
        return self.platform.get(path, key, **how)[0]

    def test_strangers_see_nothing_of_the_platform(self):
        for what in EVERYTHING:
            for key in (None, "wrong"):
                status, headers, text = self.platform.get(f"/api/{what}", key)
                self.assertEqual(status, 401, what)
                self.assertEqual(headers["WWW-Authenticate"], "Bearer")
                self.assertEqual(json.loads(text)["code"], "UNAUTHENTICATED")
        self.assertEqual(self.status_of("/", None), 200)
        self.assertEqual(self.status_of("/healthz", None), 200)

    def test_everybody_sees_what_listing_the_pools_would_show(self):
        self.assertEqual([pool["name"] for pool in self.platform.api("pools", USER)["pools"]], ["pool"])
        self.assertEqual({pool["name"] for pool in self.platform.api("pools")["pools"]},
                         {"pool", HOSTILE_POOL, "other"})
        self.assertEqual({expert["pool"] for expert in self.platform.api("experts", USER)["experts"]}, {"pool"})
        self.assertEqual({budget["pool"] for budget in self.platform.api("budgets", USER)["budgets"]}, {"pool"})
        self.assertEqual(self.status_of("/api/experts?pool=other", USER), 403)
        self.assertEqual(self.status_of("/api/decisions", USER), 403)
        self.assertEqual(self.platform.api("summary", USER)["tenant"], "user")
        self.assertEqual(self.platform.api("summary")["tenant"], HOSTILE_TENANT)

    def test_counts_are_the_sums_over_the_routers(self):
        before = {pool["name"]: int(pool["requests"]) for pool in self.platform.api("pools")["pools"]}
        self.platform.load("other", 60)
        after = {pool["name"]: int(pool["requests"]) for pool in self.platform.api("pools")["pools"]}
        self.assertEqual(after["other"] - before["other"], 60)
        self.assertEqual(after["pool"], before["pool"])
        self.assertEqual(self.platform.api("summary")["routers"], {"configured": 2, "healthy": 2})

    def test_decisions_of_every_router_come_once_each_and_in_order(self):
        start = self.platform.api("decisions")["next"]
        self.platform.load("pool", 40)
        seen = []
        for _ in range(50):
            batch = self.platform.api(f"decisions?after={start}&wait=2")
            seen += batch["decisions"]
            start = batch["next"]
            self.assertEqual(batch["missed"], 0)
            if len(seen) >= 40:
                break
        self.assertEqual(len({decision["id"] for decision in seen}), 40)
        self.assertEqual(len(seen), 40)
        self.assertEqual({decision["tenant"] for decision in seen}, {HOSTILE_TENANT})
        # Both routers had a part in it: an id begins with its router's.
        self.assertEqual(len({decision["id"].split("-")[0] for decision in seen}), 2)

    def test_who_watches_is_written_down(self):
        self.status_of("/api/decisions?pool=pool")
        self.status_of("/api/decisions", USER)
        audited = [line for line in self.platform.gateway.log().splitlines() if "event=audit" in line]
        self.assertTrue(any("tenant=user" in line and "status=PERMISSION_DENIED" in line and
                            "WatchDecisions" in line and "peer=127.0.0.1:" in line for line in audited), audited)
        self.assertTrue(any("status=OK" in line and 'pool: \\"pool\\"' in line for line in audited), audited)

    def test_what_is_not_there_or_not_asked_well_is_refused_in_json(self):
        for path, wanted in (("/api/absent", 404), ("/absent", 404), ("/api/decisions?after=x", 400),
                             ("/api/decisions?wait=60", 400)):
            status, headers, text = self.platform.get(path)
            self.assertEqual(status, wanted, path)
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertTrue(json.loads(text)["message"])
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            self.assertEqual(self.status_of("/api/pools", method=method), 405)
        self.assertEqual(self.platform.get("/api/pools", method="HEAD")[2], "")
        self.assertEqual(self.status_of("/api/pools", host="evil.test"), 421)

    def test_with_a_certificate_it_speaks_https_alone(self):
        certificates = self.fleet.certificates("page.test")
        gateway = self.fleet.gateway({
            "page": {"http": "127.0.0.1:0", "tls": {"certificate_file": str(certificates.certificate),
                                                    "key_file": str(certificates.key)}},
            "routers": [{"address": self.platform.routers[0].grpc}]}, name="https")
        context = ssl.create_default_context(cafile=certificates.ca)
        with urllib.request.urlopen(f"https://{gateway.page}/api/summary", context=context, timeout=30) as answer:
            self.assertEqual(json.load(answer)["tenant"], "anonymous")
        with self.assertRaises((OSError, http.client.HTTPException)):
            urllib.request.urlopen(f"http://{gateway.page}/", timeout=30).close()

    def test_the_default_address_may_be_taken(self):
        with contextlib.ExitStack() as held:
            # By this test, or by whoever has it already.
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", 8000)))
            gateway = self.fleet.service(["penstock-gateway"], {
                "routers": [{"address": self.platform.routers[0].grpc}]}, name="pageless")
            self.assertEqual(gateway.page, "-")
            self.assertIn("event=no_page", gateway.log())

    def test_an_address_that_is_named_and_taken_stops_the_start(self):
        with self.assertRaises(NotReady) as refused:
            self.fleet.service(["penstock-gateway"], json.dumps({
                "server": {"grpc": "127.0.0.1:0", "metrics": "off"},
                "page": {"http": self.platform.gateway.page},
                "routers": [{"address": self.platform.routers[0].grpc}]}), name="second")
        self.assertIn("page.http: cannot listen on", str(refused.exception))
        self.fleet.processes.pop()


if __name__ == "__main__":
    BINARIES = sys.argv.pop(1)
    unittest.main()
