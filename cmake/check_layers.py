#!/usr/bin/env python3
"""Checks who includes whom: `check_layers.py ROOT` names each include that breaks the rule.

common and kernels know none of ours, a service never includes another, the command line runs them all.
Also: gRPC headers stay in the files that bind logic to sockets.
"""

import pathlib
import re
import sys

MAY_INCLUDE = {
    "common": {"common", "proto"},
    "kernels": {"kernels"},
    "gateway": {"gateway", "proto", "common"},
    "router_service": {"router_service", "proto", "common", "kernels"},
    "expert_service": {"expert_service", "proto", "common", "kernels"},
    "cli": {"cli", "proto", "common", "kernels", "gateway", "router_service", "expert_service"},
}
# Generated headers are included by their path under proto/.
PROTO_ROOTS = ("inference/", "opentelemetry/", "penstock/", "xds/", "grpc/health/")
# Where gRPC types may appear: handlers, connectors, the classes that assemble a service, main.
GRPC_ALLOWED = re.compile(
    r"^(common/net/|common/metrics/|cli/|[a-z_]+/oip/|[a-z_]+/main\.cc$|gateway/forwarding/|gateway/gateway_service\.|"
    r"router_service/router_service\.|router_service/pools/replica_connector|"
    r"expert_service/expert_service\.)"
)
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
SOURCES = {".h", ".cc", ".cu", ".cuh"}


def layer_of(include, root):
    """The folder that an include belongs to, or None for the system's."""
    if include.startswith(PROTO_ROOTS) and include.endswith((".pb.h",)):
        return "proto"
    top = include.split("/", 1)[0]
    return top if "/" in include and (root / top).is_dir() and top in MAY_INCLUDE else None


def violations(root):
    for folder, allowed in MAY_INCLUDE.items():
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            name = path.relative_to(root).as_posix()
            for include in INCLUDE.findall(path.read_text(encoding="utf-8")):
                layer = layer_of(include, root)
                if layer is not None and layer not in allowed:
                    yield f"{name}: includes {include}, but {folder} may include only {', '.join(sorted(allowed))}"
                is_grpc = include.startswith(("grpcpp/", "grpc/")) or include.endswith(".grpc.pb.h")
                if is_grpc and not include.endswith("health.pb.h") and not GRPC_ALLOWED.match(name):
                    yield f"{name}: includes {include}, but gRPC types stay out of the domain"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    missing = [folder for folder in MAY_INCLUDE if not (root / folder).is_dir()]
    if missing:
        sys.exit(f"{root}: no folder {', '.join(missing)}")
    found = list(violations(root))
    for line in found:
        print(line)
    checked = sum(1 for f in MAY_INCLUDE for p in (root / f).rglob("*") if p.suffix in SOURCES)
    if checked == 0:
        sys.exit("no source was checked")
    print(f"{checked} sources, {len(found)} forbidden includes")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
