"""A peer that speaks DICOMweb: asked for series (QIDO-RS, WADO-RS), given results (STOW-RS)."""

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests
from dicomweb_client import DICOMwebClient
from pydantic import model_validator
from pydicom import dcmread
from requests.auth import AuthBase, HTTPBasicAuth

from iconet.errors import InputError
from iconet.node.settings import Peer
from iconet.recipe_files import Section, read_recipe

TIMEOUT = (15.0, 120.0)  # seconds to connect, and of silence
AT_ONCE = 8  # images in one request
LARGEST = 2 * 10**9  # bytes of an answer, inflated
PIECE = 1 << 16
EARLY = 30.0  # seconds before its end that a token is renewed


class Credentials(Section):
    """What a web service wants to know: one of three ways.

    Attributes:
        user: With `password`: HTTP basic authentication.
        password: Of the user.
        token: A bearer token.
        token_url: With `client_id` and `client_secret`: OAuth 2 client credentials.
        client_id: Of the node.
        client_secret: Of the node.
        scope: Of the token.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (
            (self.user, self.password),
            (self.token,),
            (self.token_url, self.client_id, self.client_secret),
        )
        given = [way for way in ways if any(part is not None for part in way)]
        if len(given) != 1 or None in given[0]:
            raise ValueError(
                "give user and password, or token, or token_url, client_id and client_secret"
            )
        return self


def read_credentials(path: Path) -> Credentials:
    """Read the file of credentials.

    Raises:
        InputError: It cannot be read, others can read it, or it does not say enough.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the file in credentials") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"{path}: others than its owner can read it; chmod 600 {path}")
    return read_recipe(path, None, Credentials)


class ClientToken(AuthBase):
    """OAuth 2 client credentials: fetches a token and renews it before it ends."""

    def __init__(self, credentials: Credentials, verify: str | bool) -> None:
        self._credentials, self._verify = credentials, verify
        self._token, self._ends = "", 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request."""
        if time.monotonic() >= self._ends:
            self._fetch()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _fetch(self) -> None:
        known = self._credentials
        assert known.token_url and known.client_id and known.client_secret
        scope = {"scope": known.scope} if known.scope else {}
        data = {"grant_type": "client_credentials", **scope}
        answer = requests.post(
            known.token_url,
            data=data,
            auth=(known.client_id, known.client_secret),
            timeout=TIMEOUT,
            verify=self._verify,
        )
        answer.raise_for_status()
        content = answer.json()
        self._token = str(content["access_token"])
        self._ends = time.monotonic() + max(float(content.get("expires_in", 60)) - EARLY, 1)


class Bearer(AuthBase):
    """A token that does not change."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def client_for(peer: Peer) -> DICOMwebClient:
    """A client of a peer.

    Raises:
        InputError: Its credentials cannot be used.
    """
    assert peer.url is not None
    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc that the configuration does not name
    session.verify = str(peer.ca) if peer.ca else True
    session.hooks["response"] = [_bounded]
    if peer.credentials is not None:
        known = read_credentials(peer.credentials)
        if known.user is not None and known.password is not None:
            session.auth = HTTPBasicAuth(known.user, known.password)
        elif known.token is not None:
            session.auth = Bearer(known.token)
        else:
            session.auth = ClientToken(known, session.verify)
    client = DICOMwebClient(peer.url.rstrip("/"), session=session, timeout=TIMEOUT)
    client.set_http_retry_params(retry=False)  # the node has its own, over hours
    return client


def _bounded(answer: requests.Response, **_: Any) -> requests.Response:
    """Read an answer; one that inflates beyond all images is given up."""
    pieces, size = [], 0
    for piece in answer.iter_content(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            answer.close()
            raise requests.exceptions.ContentDecodingError(f"answers more than {LARGEST} bytes")
    answer._content = b"".join(pieces)
    return answer


@contextmanager
def web_errors(peer: Peer) -> Iterator[None]:
    """Say on one line what is wrong with a web service.

    Raises:
        InputError: Something is.
    """
    try:
        yield
    except requests.HTTPError as error:
        code = error.response.status_code
        hint = "see its credentials" if code in (401, 403) else "see its log"
        raise InputError(f"{peer.url}: answers {code} {error.response.reason}; {hint}") from None
    except requests.exceptions.SSLError:
        raise InputError(f"{peer.url}: its certificate is not trusted; see ca") from None
    except requests.ConnectionError:
        raise InputError(f"{peer.url}: does not answer; see that it runs") from None
    except (requests.RequestException, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{peer.url}: {' '.join(str(error).split())}; see its log") from None


def reach(peer: Peer) -> None:
    """Verify that a service answers a query.

    Raises:
        InputError: It does not.
    """
    with web_errors(peer):
        client_for(peer).search_for_studies(limit=1)


def send(peer: Peer, files: Sequence[Path], sent: Callable[[str], None]) -> None:
    """Send images by STOW-RS.

    Args:
        peer: With a url.
        files: Of one series.
        sent: Told the UID of each image that the peer has taken.

    Raises:
        InputError: The peer does not answer, or did not take an image.
    """
    client, failed = client_for(peer), 0
    with web_errors(peer):
        for start in range(0, len(files), AT_ONCE):
            images = [dcmread(path) for path in files[start : start + AT_ONCE]]
            answer = client.store_instances(images)
            for item in answer.get("ReferencedSOPSequence", []):
                sent(str(item.ReferencedSOPInstanceUID))
            taken = len(answer.get("ReferencedSOPSequence", []))
            failed += len(images) - taken
    if failed:
        raise InputError(f"{peer.url}: did not take {failed} of {len(files)} images; see its log")
