"""Connections to the DICOM port: from known addresses, not too many, encrypted where that is asked.

pynetdicom shakes hands inside its loop that accepts connections: one client that is silent there
would keep all others out. Here every connection does it in a thread of its own.
"""

import socket
import ssl
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from iconet.node.audit import Audit
from iconet.node.settings import Listen, Tls

HANDSHAKE = 10.0  # seconds
PER_ASSOCIATION = 3  # connections: those that are no association yet count too


class Server(ThreadedAssociationServer):
    """A server of associations that lets in whom a configuration allows.

    `listen` and `audit` are set once, before the server starts.
    """

    listen: Listen
    audit: Audit
    context: ssl.SSLContext | None = None
    daemon_threads = True
    request_queue_size = 64

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; it is encrypted later, in its thread."""
        assert self.socket is not None
        accepted, address = self.socket.accept()
        return accepted, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is let in."""
        address = str(client_address[0])
        if not any(caller.has(address) for caller in self.listen.callers):
            self.audit("rejected", "its address is not among the callers", source=address)
            return False
        if len(self.active_associations) >= PER_ASSOCIATION * self.listen.associations:
            self.audit("rejected", "too many connections", source=address)
            return False
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, and hand over to an association."""
        if self.context is not None:
            request.settimeout(HANDSHAKE)
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except OSError as error:
                why = getattr(error, "reason", None) or "no TLS handshake"
                self.audit("rejected", f"TLS: {why}", source=str(client_address[0]))
                self.shutdown_request(request)
                return
        request.settimeout(self.listen.timeout)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what failed; nothing that a client sends ends the server."""
        self.audit("rejected", "its connection failed", source=str(client_address[0]))


def server_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later for those who call; they must have a certificate that the CA signed.

    Raises:
        OSError: A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _filled(context, tls)


def client_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later to a peer, whose certificate must be for its name and signed by the CA.

    Raises:
        OSError: A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _filled(context, tls)


def _filled(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    return context
