"""Credentials as people paste them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xlreg import Client, RegCred, RegCredError, Target
from xlreg.testing import RegistryProcess

URL = "xlreg://reg.example.org:56789/?sig=" + 43 * "A"

PASTED = {
    "blanks": f"  {URL}\t ",
    "line end": f"{URL}\r\n",
    "quotes": f'"{URL}"',
    "quotes of a word processor": f"\u201c{URL}\u201d",
    "all of them": f"\ufeff \n'{URL} '\n",
    "broken by a terminal": f"{URL[:50]}\r\n{URL[50:]}",
    "mail": f"<{URL}>\n",
    "for a shell": f"export XLREG_REGISTRY='{URL}'\n",
    "for a service": f"XLREG_REGISTRY={URL}",
    "marks of direction": f"\u202a{URL}\u202c",
    "blank of no width": f"\u200b{URL}\u00a0",
}


@pytest.mark.parametrize("name", PASTED)
def test_line(name: str, tmp_path: Path) -> None:
    """It may come as it is, or in a file, also in one that Windows wrote."""
    wanted = Target.parse(URL)
    assert Target.load(PASTED[name]) == wanted
    assert Target.parse(PASTED[name]) == wanted
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        file = tmp_path / encoding
        file.write_bytes(PASTED[name].encode(encoding))
        assert Target.load(file) == Target.load(str(file)) == Target.load(f" {file}\n") == wanted


def test_file(xlreg_registry: RegistryProcess, tmp_path: Path) -> None:
    text = xlreg_registry.reg_cred.read_text()
    wanted = xlreg_registry.cred
    for changed in (
        "\ufeff" + text,
        f"'{text}'",
        f"\n\n  {text}\n \n",
        text.replace("\n", "\r\n"),
        f"\u00a0{text}",
    ):
        assert RegCred.parse(changed) == RegCred.parse(changed.encode()) == wanted
        assert Target.load(changed).cred == wanted
    (tmp_path / "wide").write_bytes(text.encode("utf-16"))
    assert Target.load(tmp_path / "wide").cred == wanted
    with Client.connect(f'"{wanted.url}"\n') as client:
        assert client.registry().id == wanted.id


def test_errors_still_name_the_line(xlreg_registry: RegistryProcess) -> None:
    text = xlreg_registry.reg_cred.read_text().replace("SigPubKey", "SigKey")
    at = text.split("SigKey")[0].count("\n") + 1
    for before, changed in ((0, text), (0, "\ufeff" + text), (2, "\ufeff\n\n" + text)):
        with pytest.raises(RegCredError) as caught:
            RegCred.parse(changed)
        assert caught.value.line == at + before


@pytest.mark.parametrize("address", ["reg.example.org:56789", "192.0.2.7:1", "[::1]:56789", " a:1\n"])
def test_address_alone_says_how_to_fetch(address: str) -> None:
    with pytest.raises(RegCredError, match="does not say by what key") as caught:
        Target.load(address)
    assert f"'xlreg cred fetch {address.strip()} --out regCred.dat'" in str(caught.value)


@pytest.mark.parametrize("nothing", ["", " \n", "''", "\ufeff"])
def test_nothing(nothing: str) -> None:
    with pytest.raises(RegCredError, match=r"names no registry: want a regCred file or an xlreg:// line"):
        Target.load(nothing)


def test_file_that_is_not_there() -> None:
    for name in ("regCred", "regCred.dat", "nowhere/regCred.dat"):
        with pytest.raises(FileNotFoundError):
            Target.load(name)


def test_bad_line_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "line").write_text("xlreg://a:1/?sig=short")
    with pytest.raises(RegCredError, match=f"^{tmp_path}/line: registry url"):
        Target.load(tmp_path / "line")
