"""A registry over HTTP, by the OCI distribution specification; oras sends the requests.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md

oras-py knows no ranges, no `subject`, and titles files by their base names; here each request is one of
its `do_request`, and what is asked for stands in the methods below. That is called as it stands beneath its
decorator, which tries again for two minutes whatever happened, a refusal included.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from oras.provider import Registry as Client

from pocketrec.errors import ArtifactError, Denied, PocketrecError, RegistryError, UsageError
from pocketrec.outside import parse_json
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.credentials import TIMEOUT, Login, account_of, forgetful, unchanged
from pocketrec.package.registry.image import Descriptor, Image, digest_of, image_index
from pocketrec.package.registry.reading import LARGEST_MANIFEST, read_index
from pocketrec.package.registry.references import Reference, check_tag
from pocketrec.package.registry.store import Chunks, Traffic

_do_request = Client.do_request.__wrapped__
_ACCEPTED = f"{words.IMAGE}, {words.INDEX}"
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?")
_MOST_PAGES, _MOST_TAGS = 1000, 100_000
PIECE = 1 << 16  # bytes of an answer that are waited for before somebody may say stop
_TRIES = 5  # how often the list of what refers to a release is written, where others write it, too


class _Patient(requests.adapters.HTTPAdapter):  # type: ignore[misc]  # requests publishes no types
    """Waits for as long as is sane, where oras would wait for ever."""

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        """The answer; the request has a limit even if nobody gave one."""
        options["timeout"] = options.get("timeout") or TIMEOUT
        return super().send(request, *rest, **options)


@dataclass(frozen=True, slots=True)
class _Body:
    """A request's content of a known size, which can be sent again from its beginning."""

    size: int
    chunks: Chunks
    traffic: Traffic

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.chunks():
            self.traffic.add(sent=len(piece))
            yield piece


class Remote:
    """The store in a registry's repository.

    Args:
        reference: of it.
        docker: the folder of Docker's config.
        plain_http: whether it is asked without TLS; registries on this machine are.
    """

    def __init__(self, reference: Reference, *, docker: Path, plain_http: bool = False) -> None:
        self.traffic = Traffic()
        self._host, self._repository = reference.place, reference.repository
        plain = plain_http or _LOOPBACK.fullmatch(self._host) is not None
        self._root = f"{'http' if plain else 'https'}://{self._host}"
        account = account_of(self._host, docker)
        self._login = Login(self._host, self._repository, account, secure=not plain)
        self._threads = threading.local()

    def begin(self) -> None:
        """See `Store`; repositories begin with their first blob."""

    def manifest(self, wanted: str) -> bytes | None:
        """See `Store`."""
        answer = self._ask(
            "GET", self._url(f"manifests/{wanted}"), headers={"Accept": _ACCEPTED}, stream=True
        )
        if answer.status_code == 404:
            self._require_known(answer)
            return None
        self._check(answer, 200)
        return self._whole(answer, LARGEST_MANIFEST, f"the manifest of {wanted[:19]}")

    def put_manifest(self, data: bytes, tag: str = "") -> None:
        """See `Store`."""
        self._put(data, tag or digest_of(data), words.IMAGE)

    def refer(self, release: str, image: Image) -> None:
        """See `Store`; where the registry does not keep the list, it is kept under a tag of its own."""
        answer = self._put(image.data, image.digest, words.IMAGE)
        if "OCI-Subject" in answer.headers:
            return
        for _ in range(_TRIES):
            listed = self._listed(release)
            if any(each.digest == image.digest for each in listed):
                return
            self._put(image_index((*listed, image.descriptor())), _fallback(release), words.INDEX)
        raise RegistryError(
            f"{self._host}: others write the list of what refers to {release[:19]}…; run it again"
        )

    def referrers(self, release: str) -> tuple[Descriptor, ...]:
        """See `Store`."""
        answer = self._ask(
            "GET", self._url(f"referrers/{release}"), headers={"Accept": words.INDEX}, stream=True
        )
        if answer.status_code != 200 or words.INDEX not in answer.headers.get("Content-Type", ""):
            answer.close()
            return self._listed(release)
        return read_index(self._whole(answer, LARGEST_MANIFEST, "referrers"), f"{self._host}: referrers")

    def has(self, blob: Descriptor) -> bool:
        """See `Store`."""
        answer = self._ask("HEAD", self._url(f"blobs/{blob.digest}"))
        if answer.status_code == 404:
            return False
        self._check(answer, 200)
        return bool(answer.headers.get("Content-Length", str(blob.size)) == str(blob.size))

    @contextmanager
    def blob(self, digest: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Store`."""
        url, headers = self._url(f"blobs/{digest}"), {"Accept-Encoding": "identity"}
        ranged = {**headers, "Range": f"bytes={start}-"} if start else headers
        answer = self._ask("GET", url, headers=ranged, stream=True)
        if start and answer.status_code in (206, 416) and not _is_from(answer, start):
            answer.close()
            answer, start = self._ask("GET", url, headers=headers, stream=True), 0
        try:
            if answer.status_code == 404:
                raise ArtifactError(
                    f"{self._host}: {digest[:19]}… is missing, which a manifest lists; push it again"
                )
            self._check(answer, 200, *([206] if start else []))
            yield start if answer.status_code == 206 else 0, self._pieces(answer)
        finally:
            answer.close()

    def upload(self, blob: Descriptor, chunks: Chunks) -> None:
        """See `Store`; a registry that fails, as over two who send one blob at once, is asked again."""
        for last in (False, False, True):
            answer = self._uploaded(blob, chunks)
            if answer.status_code < 500 or last:
                break
            answer.close()
            if self.has(blob):
                return
        self._check(answer, 201)

    def _uploaded(self, blob: Descriptor, chunks: Chunks) -> requests.Response:
        answer = self._ask("POST", self._url("blobs/uploads/"), headers={"Content-Length": "0"})
        self._check(answer, 202)
        place = self._beside(answer.headers.get("Location", ""))
        url = f"{place}{'&' if '?' in place else '?'}{urlencode({'digest': blob.digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        return self._ask("PUT", url, headers=headers, data=_Body(blob.size, chunks, self.traffic))

    def tags(self) -> tuple[str, ...]:
        """See `Store`."""
        found: set[str] = set()
        url = self._url("tags/list")
        for _ in range(_MOST_PAGES):
            answer = self._ask("GET", url, stream=True)
            if answer.status_code == 404:
                self._require_known(answer)
                return ()
            self._check(answer, 200)
            table = parse_json(self._whole(answer, LARGEST_MANIFEST, "tags"), name=f"{self._host}: tags")
            listed = table.get("tags") if isinstance(table, Mapping) else None
            found.update(_a_tag(each) for each in (listed if isinstance(listed, list) else ()))
            if len(found) > _MOST_TAGS:
                raise RegistryError(f"{self._host}: gives more than {_MOST_TAGS} tags; ask for one tag")
            following = answer.links.get("next", {}).get("url")
            if not following:
                return tuple(sorted(found - {""}))
            url = self._beside(following)
        raise RegistryError(f"{self._host}: gives its tags in more than {_MOST_PAGES} pages; ask for one tag")

    def _put(self, data: bytes, name: str, kind: str) -> requests.Response:
        headers = {"Content-Type": kind}
        answer = self._ask("PUT", self._url(f"manifests/{name}"), headers=headers, data=data)
        self._check(answer, 201)
        self.traffic.add(sent=len(data))
        return answer

    def _listed(self, release: str) -> tuple[Descriptor, ...]:
        """What refers to a release, by the tag that stands where a registry keeps no list."""
        data = self.manifest(_fallback(release))
        return () if data is None else read_index(data, f"{self._host}: {_fallback(release)[:19]}…")

    def _url(self, path: str) -> str:
        return f"{self._root}/v2/{self._repository}/{path}"

    def _beside(self, location: str) -> str:
        """A URL that an answer names, on the registry itself; else it would be sent our credentials."""
        try:
            found = urlsplit(urljoin(f"{self._root}/", location))
        except ValueError:
            raise self._unreadable() from None
        if not location or found.netloc != self._host or found.scheme not in ("http", "https"):
            raise RegistryError(
                f"{self._host}: leads to another place, which would get its credentials; refuse it"
            )
        return found._replace(scheme=urlsplit(self._root).scheme).geturl()

    def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """The answer; a registry that fails, as over what two write at once, is asked again.

        Not with the content of a blob, which goes to an upload that is begun anew.
        """
        for last in (False, False, True):
            answer = self._asked(method, url, headers=headers, **options)
            if answer.status_code < 500 or last or isinstance(options.get("data"), _Body):
                break
            answer.close()
        return answer

    def _asked(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        try:
            answer: requests.Response = _do_request(
                self._client(), url, method, headers=dict(headers or {}), **options
            )
        except requests.exceptions.InvalidSchema:
            raise RegistryError(f"{self._host}: leads to an address that is not http; refuse it") from None
        except (requests.RequestException, OSError) as error:
            raise self._broken(error) from None
        except ValueError:  # what it leads to is not even taken for an address
            raise self._unreadable() from None
        return answer

    def _unreadable(self) -> RegistryError:
        return RegistryError(f"{self._host}: leads to what is no address; refuse it")

    def _client(self) -> Client:
        """A connection of the thread's own."""
        if not hasattr(self._threads, "client"):
            client = Client(self._host, insecure=self._root.startswith("http://"))
            client.session.auth = unchanged
            client.session.rebuild_auth = forgetful(client.session)
            client.session.mount("http://", _Patient())
            client.session.mount("https://", _Patient())
            client.auth = self._login
            self._threads.client = client
        return self._threads.client

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            for piece in answer.iter_content(PIECE):
                self.traffic.add(received=len(piece))
                yield piece
        except (requests.RequestException, OSError) as error:
            raise self._broken(error) from None

    def _whole(self, answer: requests.Response, largest: int, what: str) -> bytes:
        data = bytearray()
        for piece in self._pieces(answer):
            data += piece
            if len(data) > largest:
                answer.close()
                raise ArtifactError(f"{self._host}: {what} has more than {largest} bytes; refuse it")
        return bytes(data)

    def _broken(self, error: Exception) -> RegistryError:
        kind = (
            "does not answer in time"
            if isinstance(error, requests.Timeout)
            else "cannot be reached, or broke off"
        )
        secured = isinstance(error, requests.exceptions.SSLError)
        why = "speaks no TLS that can be trusted" if secured else kind
        step = "pass --plain-http if it has none" if secured else "see that it runs"
        return RegistryError(
            f"{self._host}: {why}; {step}, and run it again: what was sent or fetched is kept"
        )

    def _require_known(self, answer: requests.Response) -> None:
        """Tells a registry that lacks something from a server that is no registry."""
        if not answer.headers.get("Docker-Distribution-Api-Version") and not _code(answer):
            kind = answer.headers.get("Content-Type", "")
            if "json" not in kind:
                raise RegistryError(
                    f"{self._host}: is no OCI registry (404 without its words); check the reference"
                )

    def _check(self, answer: requests.Response, *expected: int) -> None:
        """Checks the status of an answer; one error for each next step."""
        status = answer.status_code
        if status in expected:
            return
        code = _code(answer)
        answer.close()
        said = f"{status}{f' {code}' if code else ''}"
        if status == 401:
            raise Denied(
                f"{self._host}: the credentials are refused, or have expired (401); log in again with "
                f"`docker login {self._host}`, and run it again: what was sent or fetched is kept"
            )
        if status in (403, 405, 409, 412) or "IMMUTABLE" in code.upper() or "EXISTS" in code.upper():
            raise Denied(f"{self._host}: refuses that ({said}); ask its owner, or push under another tag")
        if status == 404:
            raise UsageError(f"{self._host}: has no {self._repository} ({said}); check the reference")
        raise RegistryError(f"{self._host}: answers {said}; run it again: what was sent or fetched is kept")


def _is_from(answer: requests.Response, start: int) -> bool:
    """Whether an answer is the rest of a blob from that byte on."""
    return re.match(rf"bytes {start}-", answer.headers.get("Content-Range", "")) is not None


def _code(answer: requests.Response) -> str:
    """The registry's own word for an error; empty where it says none."""
    try:
        data = next(answer.iter_content(1 << 14), b"")
        errors = parse_json(data, name="errors")["errors"]
        return "".join(each for each in str(errors[0]["code"])[:60] if each.isalnum() or each in "_-")
    except (requests.RequestException, OSError, PocketrecError, LookupError, TypeError):
        return ""


def _fallback(release: str) -> str:
    return release.replace(":", "-")


def _a_tag(value: object) -> str:
    try:
        return check_tag(value) if isinstance(value, str) else ""
    except UsageError:
        return ""
