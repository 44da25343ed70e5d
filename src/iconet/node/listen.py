"""The DICOM port: verification, storage and storage commitment, as a service class provider."""

import contextlib
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLETransferSyntaxes,
)
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.commitment import request_of
from iconet.node.connection import Handler, Server, server_context
from iconet.node.disk import DiskGuard
from iconet.node.queue import Queue
from iconet.node.settings import Settings
from iconet.node.spool import Spool

if TYPE_CHECKING:
    from pynetdicom.events import Event

STORED = (
    *(MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage),
    *(CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage),
    PositronEmissionTomographyImageStorage,
)
SYNTAXES = [
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
    ExplicitVRBigEndian,
    *(*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes),
    *RLETransferSyntaxes,
]
SUCCESS, NO_RESOURCES, NOT_OF_CLASS, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
PROCESSING_FAILURE = 0x0110
UNKNOWN_CALLER = (0x01, 0x01, 0x03)  # rejected for good, by the user, calling AE title unknown
NO_ROOM = (0x02, 0x03, 0x02)  # rejected for now, by the provider, local limit exceeded
LONGEST_COMMENT = 64
NEGOTIATING = 20.0  # seconds
MEGABYTE = 10**6
UNLIMITED = 10**6


class Listener:
    """Receives on the DICOM port, in threads.

    Args:
        settings: Of the node.
        spool: Keeps what comes.
        queue: Of the node.
        disk: Says whether there is room.
        audit: Of the node.

    Raises:
        InputError: The port or the certificates cannot be used.
    """

    def __init__(
        self, settings: Settings, spool: Spool, queue: Queue, disk: DiskGuard, audit: Audit
    ) -> None:
        assert settings.listen is not None
        self._listen, self._settings = settings.listen, settings
        self._spool, self._queue, self._disk, self._audit = spool, queue, disk, audit
        # Images go to the disk as they come; not to the memory, whatever their size.
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(spool.arriving)
        self._open, self._entering = set[Any](), threading.Lock()
        self._ae = self._entity()
        self._server = self._serve()

    @property
    def port(self) -> int:
        """Of the server; where the configuration says 0, the free one that was taken."""
        return int(self._server.server_address[1])

    def stop(self, patience: float) -> None:
        """Take no more associations, and give those that are open a while to end."""
        self._server.shutdown()
        end = time.monotonic() + patience
        for association in self._ae.active_associations:
            if association.is_established:
                association.join(max(0.0, end - time.monotonic()))
            if association.is_alive():
                association.abort() if association.is_established else association.kill()

    def _entity(self) -> AE:
        listen = self._listen
        entity = AE(ae_title=self._settings.ae_title)
        entity.require_called_aet = True
        entity.maximum_associations = UNLIMITED  # it would count those that it rejects
        entity.maximum_pdu_size = listen.max_pdu
        entity.network_timeout = entity.dimse_timeout = listen.timeout
        entity.acse_timeout = min(listen.timeout, NEGOTIATING)
        entity.add_supported_context(Verification)
        for kind in STORED:
            entity.add_supported_context(kind, SYNTAXES)
        entity.add_supported_context(StorageCommitmentPushModel)
        return entity

    def _serve(self) -> Server:
        listen, where = self._listen, f"{self._listen.host}:{self._listen.port}"
        try:
            context = server_context(listen.tls) if listen.tls else None
        except OSError as error:
            raise InputError(f"listen.tls: {error}; name certificate, key and ca in PEM") from None
        try:
            server = self._ae.make_server(
                (listen.host, listen.port),
                server_class=Server,
                request_handler=Handler,
                evt_handlers=[
                    (evt.EVT_REQUESTED, self._requested),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_N_ACTION, self._commit),
                    (evt.EVT_PDU_RECV, self._measure),
                    (evt.EVT_CONN_CLOSE, _drop_begun),
                ],
            )
        except OSError as error:
            raise InputError(
                f"{where}: cannot be listened on ({error.strerror}); choose another port"
            ) from None
        assert isinstance(server, Server)
        server.listen, server.audit, server.context = listen, self._audit, context
        self._ae._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
        return server

    def _requested(self, event: "Event") -> None:
        """Reject an association from someone unknown, or where the disk is full."""
        caller, address = _who(event)
        known = [one for one in self._listen.callers if one.ae_title.strip() == caller.strip()]
        if not any(one.has(address) for one in known):
            why, answer = "its AE title and address are not among the callers", UNKNOWN_CALLER
        elif not self._disk.has_room():
            why, answer = f"the disk is full: {self._disk.free:.1f} GB are free", NO_ROOM
        elif not self._enters(event.assoc):
            why, answer = "too many associations", NO_ROOM
        else:
            self._audit("association", source=f"{caller}@{address}")
            return
        self._audit("rejected", why, source=f"{caller}@{address}")
        event.assoc.acse.send_reject(*answer)
        event.assoc.kill()

    def _enters(self, association: Any) -> bool:
        """Whether an association is one of those that may be open at the same time."""
        with self._entering:
            self._open = {one for one in self._open if one.is_alive()}
            if len(self._open) >= self._listen.associations:
                return False
            self._open.add(association)
            return True

    def _rejected(self, event: "Event") -> None:
        caller, address = _who(event)
        self._audit(
            "rejected", "the AE title that it calls is not ours", source=f"{caller}@{address}"
        )

    def _measure(self, event: "Event") -> None:
        """End an association whose object is too large."""
        assoc = event.assoc
        message = assoc.dimse.message
        file = getattr(message, "_data_set_file", None)
        if file is not None and file.tell() > self._listen.largest * MEGABYTE:
            caller, address = _who(event)
            why = f"an object of more than {self._listen.largest} MB"
            self._audit("rejected", why, source=f"{caller}@{address}")
            threading.Thread(target=assoc.abort, daemon=True).start()

    def _store(self, event: "Event") -> Dataset:
        caller, address = _who(event)
        source = f"{caller}@{address}"
        try:
            if not self._disk.has_room():
                return self._refuse(NO_RESOURCES, "the disk is full", source)
            facts = self._spool.keep(event.dataset_path, source)
        except InputError as error:
            return self._refuse(NOT_UNDERSTOOD, str(error), source)
        except OSError as error:
            return self._refuse(NO_RESOURCES, error.strerror or "the disk fails", source)
        except sqlite3.Error as error:
            return self._refuse(NO_RESOURCES, f"the queue: {error}", source)
        asked = event.request
        if facts.sop_class != asked.AffectedSOPClassUID or (
            facts.sop_uid != asked.AffectedSOPInstanceUID
        ):
            self._audit("odd", "its request names another image than its data set", source=source)
        return _status(SUCCESS)

    def _refuse(self, status: int, why: str, source: str) -> Dataset:
        self._audit("refused", f"an image was not stored: {why}", source=source)
        return _status(status, why)

    def _commit(self, event: "Event") -> "tuple[Dataset, Dataset | None]":
        """Note a request for storage commitment; the answer goes by an association of its own."""
        caller, address = _who(event)
        try:
            transaction, images = request_of(event.action_information)
        except Exception:  # what others send may make pydicom raise nearly anything
            return _status(PROCESSING_FAILURE, "no transaction or images"), None
        peers = [peer for peer in self._settings.peers.values() if peer.ae_title == caller]
        if not peers:
            why = "storage commitment: no peer has its AE title, so nobody can be answered"
            self._audit("refused", why, source=f"{caller}@{address}")
            return _status(PROCESSING_FAILURE, "add the AE title to peers"), None
        try:
            self._queue.commit(transaction, caller, images)
        except sqlite3.Error as error:
            return _status(PROCESSING_FAILURE, f"the queue: {error}"), None
        return _status(SUCCESS), None


def _drop_begun(event: "Event") -> None:
    """Remove what has come of an image whose association has ended; nobody has heard of success."""
    file = getattr(event.assoc.dimse.message, "_data_set_file", None)
    if file is not None:
        Path(file.name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there may be no room for what is left to write
            file.close()


def _who(event: "Event") -> tuple[str, str]:
    """Calling AE title and address."""
    requestor: Any = event.assoc.requestor
    primitive = requestor.primitive
    title = requestor.ae_title if primitive is None else primitive.calling_ae_title
    return str(title).strip(), str(requestor.address)


def _status(status: int, comment: str = "") -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment:
        plain = comment.encode("ascii", "replace").decode().replace("\\", "/")
        answer.ErrorComment = plain[:LONGEST_COMMENT]
    return answer


def syntax_names() -> list[str]:
    """Of the transfer syntaxes that are taken."""
    return [UID(syntax).name for syntax in SYNTAXES]
