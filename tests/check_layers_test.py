#!/usr/bin/env python3
"""check_layers_test.py CHECK: the layer check refuses what it must, on small trees of its own."""

import pathlib
import subprocess
import sys
import tempfile

FOLDERS = ["common", "kernels", "gateway", "router_service", "expert_service", "cli"]


def run_on(files):
    with tempfile.TemporaryDirectory() as root:
        for folder in FOLDERS:
            pathlib.Path(root, folder).mkdir()
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, sys.argv[1], root], capture_output=True, text=True)


def main():
    cases = [
        ("a service that includes a service", {"gateway/a.cc": '#include "router_service/b.h"\n'}, False),
        ("kernels that include common", {"kernels/a.cc": '#include "common/bytes.h"\n'}, False),
        ("common that includes a service", {"common/a.h": '#include "expert_service/b.h"\n'}, False),
        ("gRPC in the domain", {"router_service/selection/a.h": "#include <grpcpp/grpcpp.h>\n"}, False),
        ("gRPC in a handler", {"router_service/oip/a.cc": "#include <grpcpp/grpcpp.h>\n"}, True),
        ("what is allowed", {"gateway/a.cc": '#include "common/bytes.h"\n#include "penstock/v1/x.pb.h"\n'}, True),
        ("an empty tree", {}, False),
    ]
    failed = [name for name, files, ok in cases if (run_on(files).returncode == 0) != ok]
    for name in failed:
        print(f"wrong verdict on {name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
