"""How many images a second `iconet node` takes in, and in how much memory; none may be lost.

    python benchmarks/node_load.py [--series 50] [--images 30] [--associations 8] [--size 64]

A node is started in a temporary folder on a free port of 127.0.0.1. Every association is a process
of its own that sends its share of the series. Nothing is upscaled: what is measured is the way from
the port to the disk and into the queue, with every image on the disk before success is answered.
Senders and node share the machine's cores.
"""

import argparse
import hashlib
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pydicom
import yaml
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE


def series_of(number, images, size):
    """Images of one series; contents that differ, so that a mix-up would show."""
    random, uid, study = np.random.default_rng(number), generate_uid(), generate_uid()
    made = []
    for k in range(images):
        image = pydicom.Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = study, uid, "MR"
        image.PatientName, image.PatientID, image.InstanceNumber = "Load^Test", str(number), k + 1
        image.Rows = image.Columns = size
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0
        image.PixelData = random.integers(0, 4096, (size, size)).astype(np.uint16).tobytes()
        made.append(image)
    return made


def send(arguments):
    """Send series by one association; UID and hash of the pixels of what was answered success."""
    port, numbers, images, size = arguments
    entity = AE(ae_title="LOAD")
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="ICONET")
    assert association.is_established, "no association"
    taken = {}
    for number in numbers:
        for image in series_of(number, images, size):
            if association.send_c_store(image).get("Status") == 0:
                digest = hashlib.sha256(image.PixelData).hexdigest()
                taken[str(image.SOPInstanceUID)] = digest
    association.release()
    return taken


def started(folder):
    """A node that runs; its process and port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    content = {
        "folder": "spool",
        "listen": {"host": "127.0.0.1", "port": port, "callers": [{"ae_title": "LOAD"}]},
        "peers": {"pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}},
        "rules": [{"name": "all", "send_to": ["pacs"]}],
        "quiet": 3600,
        "disk": {"least_free": 0.1},
    }
    config = folder / "node.yaml"
    config.write_text(yaml.safe_dump(content))
    process = subprocess.Popen([sys.executable, "-m", "iconet.cli", "node", "run", str(config)])
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        assert process.poll() is None, "the node has ended"
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=50)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--associations", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process, port = started(folder)
        try:
            shares = [
                range(i, chosen.series, chosen.associations) for i in range(chosen.associations)
            ]
            work = [(port, share, chosen.images, chosen.size) for share in shares]
            before = psutil.Process(process.pid).memory_info().rss
            with multiprocessing.get_context("spawn").Pool(chosen.associations) as pool:
                pool.map(len, [()] * chosen.associations)  # all have begun
                start = time.perf_counter()
                taken = {}
                for one in pool.imap_unordered(send, work):
                    taken |= one
                seconds = time.perf_counter() - start
            after = psutil.Process(process.pid).memory_info().rss
        finally:
            process.terminate()
            process.wait()
        database = sqlite3.connect(folder / "spool/queue.sqlite")
        rows = dict(database.execute("SELECT uid, path FROM images"))
        database.close()
        for uid, digest in taken.items():
            image = pydicom.dcmread(folder / "spool" / rows[uid])
            assert hashlib.sha256(image.PixelData).hexdigest() == digest, "an image was mixed up"
        wanted = chosen.series * chosen.images
        print(f"{len(taken)} of {wanted} images answered success, {len(rows)} in the queue")
        print(f"{wanted / seconds:.0f} images/s ({seconds:.1f} s), {os.cpu_count()} cores")
        print(f"memory of the node: {before / 1e6:.0f} MB at rest, {after / 1e6:.0f} MB at the end")
        assert len(taken) == len(rows) == wanted, "images were lost"


if __name__ == "__main__":
    main()
