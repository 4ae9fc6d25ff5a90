"""The local issuer: its files are whole at every instant, and all who open it sign with one key."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from chfw_cli.tokens import AUDIENCE, Issuer, ProductionError
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.keys import KeyFile
from chfw_common.runtime.settings import LOCAL_ISSUER

OPENED = 200


def test_a_reader_never_sees_a_part_of_the_key_file(tmp_path: Path) -> None:
    Issuer.open(tmp_path)
    file, ended = tmp_path / "jwks.json", Event()
    seen: set[str] = set()

    def read_on() -> None:
        while not ended.is_set():
            seen.add(file.read_text())

    with ThreadPoolExecutor() as threads:
        reading = threads.submit(read_on)
        for _ in range(OPENED):
            Issuer.open(tmp_path)
        ended.set()
        reading.result()
    (only,) = seen
    assert json.loads(only)["keys"]


def test_the_key_file_is_replaced_not_written_over(tmp_path: Path) -> None:
    Issuer.open(tmp_path)
    with (tmp_path / "jwks.json").open() as before:
        Issuer.open(tmp_path)
        # The reader's file has no name any more: nobody can have written into it.
        assert os.fstat(before.fileno()).st_nlink == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jwks.json", "signing.json"]
    assert (tmp_path / "signing.json").stat().st_mode & 0o777 == 0o600


def test_all_who_open_it_at_once_sign_with_one_key(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        with ThreadPoolExecutor(8) as threads:
            issuers = [one.result() for one in [threads.submit(Issuer.open, folder) for _ in range(8)]]
        verifier = TokenVerifier(KeyFile(folder / "jwks.json"), issuer=LOCAL_ISSUER, audience=AUDIENCE)
        for issuer in issuers:
            token = issuer.token(PartyId("p"), UserId("u"), Role.DCC)
            assert asyncio.run(verifier.verify(token)).party == "p"


def test_it_signs_nothing_where_a_real_installation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Issuer.open(tmp_path)
    monkeypatch.setenv("CHFW_ENV", "production")
    with pytest.raises(ProductionError):
        Issuer.open(tmp_path)
