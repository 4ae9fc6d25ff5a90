"""The broker's jars: exactly the committed list, every hash checked at every use.

The list `kafka_jars.sha256` names each file and its SHA-256. Jars are downloaded once into a cache of this user;
afterwards nothing is asked of the network.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_LIST = Path(__file__).with_name("kafka_jars.sha256")
_CHUNK = 1 << 20
_ATTEMPTS = 3
_DOWNLOAD_LIMIT = 300.0


class JarMismatchError(Exception):
    """The jars at hand are not the committed ones; the text names each difference. Nothing was run."""


class JarDownloadError(Exception):
    """The jars could not be fetched."""


def expected_jars(text: str | None = None) -> dict[str, str]:
    """File name -> SHA-256, as committed."""
    lines = (_LIST.read_text(encoding="ascii") if text is None else text).splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def cache_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where this user keeps what was downloaded: `$XDG_CACHE_HOME/chfw`, else `~/.cache/chfw`."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chfw"


async def kafka_jars(cache: Path | None = None) -> tuple[Path, ...]:
    """The verified jars in a fixed order, downloaded first when the cache has none.

    Raises JarMismatchError or JarDownloadError; then nothing unverified was put into the cache.
    """
    expected = expected_jars()
    directory = jar_directory(cache)
    if not await asyncio.to_thread(directory.is_dir):
        await _fill(directory, expected)
    jars = await asyncio.to_thread(lambda: tuple(sorted(directory.iterdir())))
    await asyncio.to_thread(verify, jars, expected)
    return jars


def jar_directory(cache: Path | None = None) -> Path:
    """Where the verified jars of the committed list lie; another list gets another directory."""
    listed = hashlib.sha256(_LIST.read_bytes()).hexdigest()[:8]
    return (cache_directory() if cache is None else cache) / f"kafka-{listed}"


def verify(jars: Iterable[Path], expected: Mapping[str, str]) -> None:
    """Return only when the files are exactly the expected ones; else raise JarMismatchError with every difference."""
    found = {jar.name: jar for jar in jars}
    wrong = [f"missing {name}" for name in sorted(expected.keys() - found.keys())]
    wrong += [f"not on the list: {found[name]}" for name in sorted(found.keys() - expected.keys())]
    wrong += [
        f"SHA-256 differs: {found[name]}"
        for name in sorted(found.keys() & expected.keys())
        if _sha256(found[name]) != expected[name]
    ]
    if wrong:
        raise JarMismatchError(
            f"the Kafka jars are not those of {_LIST.name}, so they are not used; remove their directory to fetch"
            f" them again: {'; '.join(wrong)}"
        )


async def _fill(directory: Path, expected: Mapping[str, str]) -> None:
    """Download, verify, and only then put the directory in place, in one step."""
    await asyncio.to_thread(directory.parent.mkdir, parents=True, exist_ok=True)
    work = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=directory.parent, prefix="fetch-"))
    try:
        jars = await _download(work)
        await asyncio.to_thread(_install, jars, expected, work / "verified", directory)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


def _install(jars: Iterable[Path], expected: Mapping[str, str], staging: Path, directory: Path) -> None:
    jars = list(jars)
    verify(jars, expected)
    staging.mkdir()
    for jar in jars:
        jar.replace(staging / jar.name)
    try:
        staging.rename(directory)
    except OSError:
        if not directory.is_dir():  # else another process was first; the caller verifies what it put there
            raise


async def _download(work: Path) -> list[Path]:
    error = ""
    for attempt in range(_ATTEMPTS):
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chfw_cli.local.resolve_jars", str(work / f"attempt-{attempt}")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=download_environment(os.environ),
        )
        try:
            async with asyncio.timeout(_DOWNLOAD_LIMIT):
                output, errors = await done.communicate()
        except TimeoutError:
            done.kill()
            await done.wait()
            error = f"no end after {_DOWNLOAD_LIMIT:.0f} s"
            continue
        if done.returncode == 0:
            return [Path(line) for line in output.decode().splitlines()]
        error = "\n".join(errors.decode("utf-8", "replace").splitlines()[-5:])
    raise JarDownloadError(f"the Kafka jars could not be downloaded in {_ATTEMPTS} attempts: {error}")


def download_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the download: a proxy's certificates are known to it under whichever name they were given."""
    found = dict(environ)
    if "REQUESTS_CA_BUNDLE" not in found and "SSL_CERT_FILE" in found:
        found["REQUESTS_CA_BUNDLE"] = found["SSL_CERT_FILE"]
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
