#!/usr/bin/env python3
"""ask.py [ROW [JOULES]]: sends one image to the pool under an energy budget and says who answered.

Needs the platform of `deploy/quickstart.sh --serve`, and tritonclient:
    python3 -m venv venv && venv/bin/pip install 'tritonclient[grpc]' && venv/bin/python examples/digits/ask.py 17 0.01
"""

import pathlib
import sys

import numpy as np
import tritonclient.grpc as triton

IMAGES = pathlib.Path(__file__).resolve().parents[2] / "build/digits/heldout.images.f32"


def main():
    row = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    joules = float(sys.argv[2]) if len(sys.argv) > 2 else 0.01
    values = np.memmap(IMAGES, dtype="<f4", mode="r").reshape(-1, 784)[row : row + 1]
    image = triton.InferInput("image", [1, 784], "FP32")
    image.set_data_from_numpy(np.array(values))
    with triton.InferenceServerClient("127.0.0.1:8001") as client:
        result = client.infer("digits", [image], parameters={"penstock_energy_budget_j": joules})
    parameters = result.get_response().parameters
    print(f"image {row} is a {result.as_numpy('label')[0][0].decode()}, says {parameters['penstock_experts'].string_param}")
    print(f"{1000 * parameters['penstock_energy_j'].double_param:.3f} mJ "
          f"({parameters['penstock_energy_method'].string_param}), "
          f"{parameters['penstock_latency_ms'].double_param:.2f} ms, "
          f"decision {parameters['penstock_decision_id'].string_param}")


if __name__ == "__main__":
    main()
