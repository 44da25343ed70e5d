"""Storage commitment: the node says, to whoever asks, which images it has on its disk."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.dicom_peer import associated
from iconet.node.queue import Queue
from iconet.node.settings import Settings

if TYPE_CHECKING:
    import sqlite3

ALL_THERE, SOME_FAILED = 1, 2  # event types (PS3.4 J.3.3)
NO_SUCH_IMAGE = 0x0112
Image = tuple[str, str]
"""SOP class and SOP instance UID."""


def request_of(action: Dataset) -> tuple[str, list[Image]]:
    """The transaction of a request, and the images that it names."""
    images = [
        (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in action.ReferencedSOPSequence
    ]
    return str(action.TransactionUID), images


def answer_due(settings: Settings, queue: Queue, audit: Audit) -> None:
    """Answer the requests that wait, each to the peer of the AE title that asked."""
    for row in queue.due_commitments():
        peer = next(one for one in settings.peers.values() if one.ae_title == row["ae_title"])
        try:
            with associated(
                settings, peer, [StorageCommitmentPushModel], [_as_provider()]
            ) as association:
                report, event = _report(row, queue, settings.folder)
                status, _ = association.send_n_event_report(
                    report, event, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
                )
                if status.get("Status") != 0:
                    raise InputError("did not take the report of storage commitment")
        except InputError as error:
            given_up = queue.commitment_later(row, settings.retry)
            audit("commitment", str(error) + "; given up" * given_up, peer=row["ae_title"])
        else:
            queue.committed(row)
            audit("committed", peer=row["ae_title"], images=len(json.loads(row["images"])))


def _as_provider() -> object:
    return build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)


def _report(row: "sqlite3.Row", queue: Queue, folder: Path) -> tuple[Dataset, int]:
    there, missing = [], []
    for kind, uid in json.loads(row["images"]):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
        known = queue.image(uid)
        if known is not None and known["path"] and (folder / known["path"]).exists():
            there.append(item)
        else:
            item.FailureReason = NO_SUCH_IMAGE
            missing.append(item)
    report = Dataset()
    report.TransactionUID = row["transaction_uid"]
    if there:
        report.ReferencedSOPSequence = there
    if missing:
        report.FailedSOPSequence = missing
    return report, SOME_FAILED if missing else ALL_THERE
