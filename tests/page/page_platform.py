"""The platform that the page is tested with: two routers, two experts, names that would be markup."""

import hashlib
import http.client
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import start_load, tiny_input, write_tiny_model  # noqa: E402

# Letters of a name are the configuration's; a tenant's travel in metadata: no space, no comma.
HOSTILE_POOL = "<img src=x onerror=document.title='pwned'>"
HOSTILE_TENANT = "<svg/onload=document.title='pwned'>\"'&amp;"
ADMIN, USER, NEW = "admin-key", "user-key", "new-key"


class PagePlatform:
    def __init__(self, fleet):
        self.fleet = fleet
        repository = fleet.folder / "models"
        for name in ("first", "second"):
            write_tiny_model(repository, name)
        self.expert = fleet.expert({"model_repository": str(repository), "trust_plaintext": True})
        experts = [{"name": name, "replicas": [{"address": self.expert.grpc}]} for name in ("first", "second")]
        pools = [{"name": "pool", "experts": experts,
                  "budgets": [{"resource": "JOULES", "amount": 1000, "per": "HOUR"}]},
                 {"name": HOSTILE_POOL, "experts": experts[:1]},
                 {"name": "other", "experts": experts[:1]}]
        self.routers = [fleet.router({"trust_plaintext": True, "pools": pools}) for _ in range(2)]
        keys = {"keys": [
            {"sha256": hashlib.sha256(ADMIN.encode()).hexdigest(), "tenant": HOSTILE_TENANT, "admin": True},
            {"sha256": hashlib.sha256(USER.encode()).hexdigest(), "tenant": "user", "pools": ["pool"]},
            {"sha256": hashlib.sha256(NEW.encode()).hexdigest(), "tenant": "new", "pools": ["not-there-yet"]}]}
        self._file("keys.yaml", json.dumps(keys))
        self.gateway = fleet.gateway({
            "page": {"http": "127.0.0.1:0"}, "identity": {"api_keys_file": str(fleet.folder / "keys.yaml")},
            "routers": [{"address": router.grpc} for router in self.routers]})
        self.inputs = tiny_input(fleet.folder / "rows.f32", 50)
        self._file("admin.key", ADMIN + "\n")

    @property
    def url(self):
        return f"http://{self.gateway.page}/"

    def load(self, pool, requests, *, rate=100):
        """So many requests of the administrator's; returns once they are sent."""
        self.begin_load(pool, 600, rate=rate, arguments=["--count", requests]).result()

    def begin_load(self, pool, seconds, *, rate=50, arguments=()):
        return start_load(self.fleet, [self.gateway], pool, self.inputs, rate=rate, duration_s=seconds, rows=50,
                          arguments=["--api_key_file", self.fleet.folder / "admin.key", *arguments])

    def get(self, path, key=ADMIN, *, method="GET", host=None):
        """(status, headers, text) of the page's port."""
        connection = http.client.HTTPConnection(self.gateway.page, timeout=30)
        try:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            if host is not None:
                headers["Host"] = host
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def api(self, what, key=ADMIN):
        status, _, text = self.get(f"/api/{what}", key)
        assert status == 200, (what, status, text)
        return json.loads(text)

    def _file(self, name, text):
        (self.fleet.folder / name).write_text(text, encoding="utf-8")
