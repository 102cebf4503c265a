"""pictures.py BIN_FOLDER FOLDER: the pictures of docs/live-page.md, of the digits pool under traffic.

Wants the example's images: examples/digits/fetch_data.py build/digits.
"""

import argparse
import hashlib
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from browser import Browser, chromium  # noqa: E402
from fleet import Fleet, start_load  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "build/digits/heldout.images.f32"
# Three tenants: (requests a second, what they ask for).
TENANTS = {"library": (24, []), "post-office": (9, ["--energy_budget_j", "0.003"]),
           "museum": (3, ["--min_quality", "0.97"])}
SECONDS = 110


def platform(fleet):
    """`penstock serve` with the example's pool, a budget and keys."""
    text = (ROOT / "examples/digits/platform.yaml").read_text(encoding="utf-8")
    keys = [{"sha256": hashlib.sha256(name.encode()).hexdigest(), "tenant": name, "admin": name == "library"}
            for name in TENANTS]
    (fleet.folder / "keys.yaml").write_text(json.dumps({"keys": keys}), encoding="utf-8")
    for name in TENANTS:
        (fleet.folder / name).write_text(name + "\n", encoding="utf-8")
    text = text.replace("identity: {anonymous_admin: true}",
                        f"identity: {{api_keys_file: {fleet.folder}/keys.yaml}}\n"
                        '  page: {http: "127.0.0.1:0"}\n'
                        '  server: {grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0s}}')
    text = text.replace("router:\n", 'router:\n  server: {metrics: "off", grpc: "127.0.0.1:0"}\n', 1)
    text = text.replace("\nexpert:\n", '\nexpert:\n  server: {metrics: "off", grpc: "127.0.0.1:0"}\n', 1)
    text = text.replace("    - name: digits\n", "    - name: digits\n      budgets:\n"
                        "        - {resource: JOULES, amount: 0.01, per: REQUEST}\n"
                        "        - {resource: JOULES, amount: 400, per: HOUR, tenant: museum, hard: true}\n")
    for path in ("examples/digits/models", "examples/digits/router"):
        text = text.replace(path, str(ROOT / path))
    return fleet.service(["penstock", "serve"], text, name="serve")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    if chromium() is None or not IMAGES.exists():
        sys.exit("wanted chromium and build/digits")
    with Fleet(options.bin) as fleet, Browser(chromium()) as browser:
        served = platform(fleet)
        for seed, (name, (rate, arguments)) in enumerate(TENANTS.items()):
            start_load(fleet, [served], "digits", f"image=@{IMAGES}", rate=rate, rows=1000, seed=seed,
                       duration_s=SECONDS + 60,
                       arguments=["--api_key_file", fleet.folder / name, *arguments])
        url = f"http://{served.page}/"
        browser.size(1440, 1000)
        browser.colours("light")
        browser.open(url)
        browser.wait("document.getElementById('theme') !== null", "the page")
        browser.run("sessionStorage.setItem('penstock-key', 'library')")
        browser.open(url)
        began = time.monotonic()
        browser.wait("document.querySelectorAll('#decisions > li').length > 100", "decisions", 120)
        browser.wait(f"performance.now() > {1000 * SECONDS}", "a while", SECONDS + 30)
        print(f"{time.monotonic() - began:.0f} s of traffic")
        browser.picture(options.folder / "live-page.png")
        browser.run("document.getElementById('pause').click()")
        browser.run("document.querySelectorAll('#decisions button')[1].click()")
        browser.colours("dark")
        browser.wait("document.querySelector('#decisions .details') !== null", "a decision's details")
        browser.picture(options.folder / "live-page-dark.png")
        browser.run("document.querySelectorAll('#decisions button')[1].click()")
        browser.run("document.getElementById('pause').click()")
        browser.colours("light")
        browser.size(390, 844, phone=True)
        browser.wait("innerWidth === 390", "the width of a phone")
        browser.picture(options.folder / "live-page-phone.png")


if __name__ == "__main__":
    main()
