"""A pool that answers with its inputs: FP32, INT64 and BYTES tensors of variable length."""

import os
import tempfile

MODEL = """
inputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
outputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
blocks: [{identity: {}}]
batching: {max_rows: 0}
"""


def write_repository():
    """A temporary repository with the model `echo`."""
    folder = tempfile.TemporaryDirectory()
    model = os.path.join(folder.name, "echo")
    os.makedirs(os.path.join(model, "1"))
    with open(os.path.join(model, "config.yaml"), "w", encoding="utf-8") as file:
        file.write(MODEL)
    return folder


def config(repository):
    return f"""
gateway: {{page: {{http: "off"}}, server: {{grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {{grace: 0.1s}}}}}}
router:
  server: {{grpc: "127.0.0.1:0", metrics: "off", drain: {{grace: 0.1s}}}}
  pools: [{{name: echo_pool, experts: [{{name: echo}}]}}]
expert:
  server: {{grpc: "127.0.0.1:0", metrics: "off", drain: {{grace: 0.1s}}}}
  model_repository: {repository}
"""
