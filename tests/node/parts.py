"""Small series to send, a node in a process of its own, and archives to send to."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydicom.uid import MRImageStorage, generate_uid

pynetdicom = pytest.importorskip("pynetdicom", reason="pip install 'iconet[node]'")
pytest.importorskip("dicomweb_client", reason="pip install 'iconet[node]'")

from iconet.node.dicom_peer import close  # noqa: E402

from ..free_port import free_port  # noqa: E402
from ..images.slices import AFFINE, slices_of  # noqa: E402

PLUGINS = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so",)
PATIENCE = 90.0


def mr_series(images=4, size=24, seed=0, **elements):
    """Slices of one MR series, smooth, with all the elements that archives want."""
    i, j, k = np.mgrid[:size, :size, :images]
    values = 1000 + 400 * np.sin(i / 5 + seed) + 300 * np.cos(j / 4) + 20 * k
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    made = slices_of(values.astype(np.int16), AFFINE, intercept=0)
    for number, one in enumerate(made, 1):
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = MRImageStorage
        one.Modality, one.PatientName, one.PatientID = "MR", "Secret^Name", "4711"
        one.StudyInstanceUID, one.SeriesInstanceUID = study, series
        one.FrameOfReferenceUID, one.InstanceNumber = frame, number
        one.StudyDate, one.StudyTime = time.strftime("%Y%m%d"), "101010"
        one.PatientBirthDate, one.PatientSex, one.StudyID = "19700101", "O", "1"
        one.AccessionNumber = one.ReferringPhysicianName = one.Manufacturer = ""
        one.SeriesDescription, one.BodyPartExamined = "t1 mprage", "BRAIN"
        one.ScanningSequence, one.SequenceVariant, one.ScanOptions = "GR", "SP", ""
        one.MRAcquisitionType, one.RepetitionTime, one.EchoTime = "3D", 2000, 3
        one.EchoTrainLength, one.PatientPosition, one.ImageType = 1, "HFS", ["ORIGINAL", "PRIMARY"]
        one.PositionReferenceIndicator = ""
        del one.RescaleSlope, one.RescaleIntercept
        for keyword, value in elements.items():
            setattr(one, keyword, value)
    return made


def until(what, patience=PATIENCE):
    """Wait until a function returns something true, and return that."""
    end = time.monotonic() + patience
    while True:
        if found := what():
            return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def send(port, images, caller="SCANNER", called="ICONET", tls=None, address="127.0.0.1"):
    """The statuses that a node answers to images; None where there is no association."""
    with socket.socket() as tried:  # pynetdicom leaves those open that are refused
        if tried.connect_ex((address, port)) != 0:
            return None
    entity = pynetdicom.AE(ae_title=caller)
    entity.dimse_timeout = 5  # for which pynetdicom waits though its connection has ended
    for kind, syntax in sorted({(i.SOPClassUID, i.file_meta.TransferSyntaxUID) for i in images}):
        entity.add_requested_context(kind, syntax)
    association = entity.associate(address, port, ae_title=called, tls_args=tls)
    try:
        if not association.is_established:
            return None
        return [
            association.send_c_store(image).get("Status") if association.is_established else None
            for image in images
        ]
    finally:
        close(association)


class RunningNode:
    """`iconet node run` in a process of its own."""

    def __init__(self, folder, **settings):
        self.folder, self.port = folder, free_port()
        folder.mkdir(exist_ok=True, parents=True)
        self.config = folder / "node.yaml"
        listen = {"host": "127.0.0.1", "port": self.port, "callers": [{"ae_title": "SCANNER"}]}
        content = {
            "folder": "spool",
            "listen": listen,
            "peers": {"pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": free_port()}},
            "rules": [{"name": "mr", "match": {"modality": ["MR"]}, "send_to": ["pacs"]}],
            "compute": {"device": "cpu", "precision": "fp32", "backend": "torch"},
            "quiet": 0.5,
            "disk": {"least_free": 0.01},
            "retry": {"first": 0.3, "longest": 1},
        }
        listen |= settings.pop("listen", {})
        self.config.write_text(yaml.safe_dump(content | settings))
        self.log = folder / "node.log"
        self.process = None
        self.start()

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "iconet.cli", "node", "run", str(self.config)],
                stderr=log,
                stdout=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        until(self.listening)

    def listening(self):
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def status(self):
        command = [sys.executable, "-m", "iconet.cli", "node", "status", str(self.config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def states(self):
        """How many series are in which state."""
        from iconet.node.queue import Queue

        queue = Queue(self.folder / "spool", reading=True)
        try:
            return {
                r["state"]: r["n"]
                for r in queue.rows("SELECT state, COUNT(*) AS n FROM series GROUP BY state")
            }
        finally:
            queue.close()

    def events(self, kind):
        path = self.folder / "spool/audit.jsonl"
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        return [entry for entry in entries if entry["event"] == kind]


@contextmanager
def node(folder, **settings):
    running = RunningNode(folder, **settings)
    try:
        yield running
    finally:
        running.stop()


class Archive:
    """A storage provider of pynetdicom's own, which keeps headers in memory."""

    def __init__(self, port=None, status=0x0000):
        self.port, self.status, self.images = port or free_port(), status, []
        entity = pynetdicom.AE(ae_title="PACS")
        for kind in pynetdicom.StoragePresentationContexts:
            entity.add_supported_context(kind.abstract_syntax)
        entity.add_supported_context("1.2.840.10008.1.1")
        handlers = [(pynetdicom.evt.EVT_C_STORE, self._store)]
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )

    def _store(self, event):
        if self.status == 0x0000:
            image = event.dataset
            image.file_meta = event.file_meta
            self.images.append(image)
        return self.status

    @property
    def peer(self):
        return {"ae_title": "PACS", "host": "127.0.0.1", "port": self.port}

    def close(self):
        self._server.shutdown()


@contextmanager
def archive(**options):
    running = Archive(**options)
    try:
        yield running
    finally:
        running.close()


class Orthanc:
    """A real one, on free ports of this machine alone; its data stay when it is taken down."""

    def __init__(self, folder, modalities=(), user=None, **settings):
        self.user = user
        program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
        if program is None or not all(Path(plugin).exists() for plugin in PLUGINS):
            pytest.skip("no Orthanc: apt-get install orthanc orthanc-dicomweb")
        self.program, self.folder = program, folder
        self.port, self.http = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        known = {title: [title, "127.0.0.1", port] for title, port in modalities}
        content = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "DicomAet": "ORTHANC",
            "DicomPort": self.port,
            "HttpPort": self.http,
            "HttpServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": known,
            "Plugins": list(PLUGINS),
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(content | settings))
        self.start()

    def start(self):
        with (self.folder / "orthanc.log").open("a") as log:
            self.process = subprocess.Popen(
                [self.program, str(self.folder / "orthanc.json")], stdout=log, stderr=log
            )
        until(self._answers)

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "orthanc.log").read_text()
        try:
            return self.get("system")
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http}/dicom-web"

    @property
    def peer(self):
        return {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": self.port}

    def fetch(self, path, data=None, accept="application/json"):
        headers = {"Accept": accept}
        if self.user is not None:
            headers["Authorization"] = f"Basic {b64encode(self.user.encode()).decode()}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/{path}", data=data, headers=headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def get(self, path):
        return json.loads(self.fetch(path))

    def post(self, path, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        return json.loads(self.fetch(path, data))

    def keep(self, images):
        """Put images into it."""
        from io import BytesIO

        for image in images:
            stream = BytesIO()
            image.save_as(stream, enforce_file_format=True)
            self.post("instances", stream.getvalue())

    def series(self):
        """Description of each series, with the number of its images, its study and Orthanc's ID."""
        found = []
        for one in self.get("series"):
            known = self.get(f"series/{one}")
            tags = known["MainDicomTags"]
            found.append((tags.get("SeriesDescription", ""), known))
        return found

    def derived(self):
        return [known for description, known in self.series() if "iconet" in description]


@contextmanager
def orthanc(folder, **settings):
    running = Orthanc(folder, **settings)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
