"""An operator at work on a real server that asks for keys: in Python by both clients, and from the shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forger import Client, Standing, errors
from forger.cli.main import main
from service.http.routes import admin_routes
from tests.fakes.keys import OPERATOR, new_key, operators_file
from tests.fakes.models import COLOUR, FakeModel, write_model
from tests.fakes.server import ServerProcess
from tests.sdk.awaited import KINDS, client_of


class Site:
    """The server, the directory of its models, and a key that is not the operator's."""

    def __init__(self, server: ServerProcess, root: Path, visitor: str) -> None:
        self.url = server.url
        self.root = root
        self.visitor = visitor

    def begin_anew(self) -> None:
        """Serve grey 1 to 3 and colour, nothing pinned, as at the start."""
        with Client(self.url, api_key=OPERATOR) as client:
            for one in client.admin.models():
                if one.state == "unloaded":
                    client.admin.load(f"{one.name}:{one.version}")
            client.admin.unpin("grey")
            client.admin.unpin("colour")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with three versions of its default model, and another model; it looks when it is told to."""
    root, keys = tmp_path_factory.mktemp("operated"), tmp_path_factory.mktemp("keys")
    for version in (1, 2, 3):
        write_model(root, FakeModel("grey", version=version))
    write_model(root, COLOUR)
    file = operators_file(keys)
    visitor = new_key(file, "visitor", "generate")
    home = tmp_path_factory.mktemp("operators-server") / "home"
    settings = {"models_dir": root, "default_model": "grey", "keys_file": file, "models_poll_s": 0}
    with ServerProcess(home, threads=2, **settings) as server:
        yield Site(server, root, visitor)


@pytest.fixture
def site(begun: Site) -> Site:
    """The same, whatever the test before has done."""
    begun.begin_anew()
    return begun


@pytest.fixture(params=KINDS)
def both(request: pytest.FixtureRequest, site: Site) -> Iterator[Any]:
    """Each client in turn, with the operator's key."""
    with client_of(request.param, site.url, api_key=OPERATOR) as client:
        yield client


def in_short(standings: list[Standing]) -> dict[str, str]:
    return {f"{one.name}:{one.version}": one.state for one in standings if one.version < 4}


def test_every_command_of_the_service_is_there() -> None:
    """Its own routes are the list."""
    words = {route.path.rpartition("/")[2] for route in admin_routes(lambda: None)}
    with Client() as client:
        assert words == {word for word in dir(client.admin) if not word.startswith("_")}


def test_a_key_without_the_scope_and_no_key_are_told_apart(site: Site) -> None:
    for key, kind in ((site.visitor, errors.Forbidden), (None, errors.Unauthorized)):
        with Client(site.url, api_key=key) as client:
            for ask in (client.admin.models, client.admin.reload, lambda: client.admin.rollback("grey")):
                with pytest.raises(kind):
                    ask()


def test_versions_are_listed_as_they_stand(both: Any) -> None:
    listed = [one for one in both.admin.models() if one.version < 4]
    assert [(one.name, one.version, one.current) for one in listed] == [
        ("colour", 1, True), ("grey", 1, False), ("grey", 2, False), ("grey", 3, True),
    ]  # fmt: skip
    assert {(one.state, one.pinned, one.reason) for one in listed} == {("served", False, None)}
    assert listed[3].digest == both.model("grey:3").digest


def test_pin_unpin_and_rollback_change_what_is_drawn(both: Any) -> None:
    def drawn_by() -> int:
        return both.generate(1, seed=1).origin.version

    assert drawn_by() == 3
    assert [both.admin.rollback("grey").version for _ in range(2)] == [2, 1]
    assert drawn_by() == 1
    with pytest.raises(errors.Misuse, match="grey:1 is the lowest version served"):
        both.admin.rollback("grey")
    assert both.admin.pin("grey").pinned
    assert both.admin.pin("grey:2") == next(one for one in both.admin.models() if one.pinned)
    assert drawn_by() == 2
    assert both.admin.unpin("grey").version == 3
    assert drawn_by() == 3


def test_rollback_leads_where_the_services_own_does(site: Site) -> None:
    """Also past a version that is not served."""
    import httpx

    with Client(site.url, api_key=OPERATOR) as client:
        client.admin.unload("grey:2")
        ours = client.admin.rollback("grey")
        client.admin.unpin("grey")
        headers = {"authorization": f"Bearer {OPERATOR}"}
        theirs = httpx.post(f"{site.url}/admin/models/grey/rollback", headers=headers, timeout=60.0)
    assert theirs.status_code == 200
    assert Standing.read(theirs.json()) == ours
    assert ours.version == 1


def test_load_and_unload_and_their_refusals(both: Any) -> None:
    for _ in range(2):  # once more changes nothing
        assert both.admin.unload("grey:2").state == "unloaded"
    assert in_short(both.admin.models())["grey:2"] == "unloaded"
    with pytest.raises(errors.UnknownModel):
        both.model("grey:2")
    with pytest.raises(errors.ModelConflict, match="not served"):
        both.admin.pin("grey:2")
    for _ in range(2):
        assert both.admin.load("grey:2").state == "served"
    assert both.model("grey:2").version == 2
    both.admin.pin("grey:1")
    with pytest.raises(errors.ModelConflict, match="pinned"):
        both.admin.unload("grey:1")
    for ask in (both.admin.load, both.admin.unload, both.admin.pin):
        with pytest.raises(errors.UnknownModel):
            ask("grey:9")
    with pytest.raises(errors.UnknownModel):
        both.admin.unpin("nobody")


def test_what_is_refused_is_told_with_its_reason(both: Any, site: Site) -> None:
    directory = site.root / "grey" / "4"
    if not directory.exists():
        write_model(site.root, FakeModel("grey", version=4)).generator.write_bytes(b"")
    listed = {(one.name, one.version): one for one in both.admin.reload()}
    broken = listed["grey", 4]
    assert (broken.state, broken.digest, broken.current) == ("refused", None, False)
    assert broken.reason.startswith("generator.onnx is 0 bytes long")
    with pytest.raises(errors.UnusableModel, match="is 0 bytes long"):
        both.admin.load("grey:4")


@pytest.fixture
def forger(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return the command with the operator's key, which gives its status and what it wrote."""
    monkeypatch.setenv("FORGER_URL", site.url)
    monkeypatch.setenv("FORGER_API_KEY", OPERATOR)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["admin", *arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_the_shell_lists_in_columns(forger: Any, site: Site) -> None:
    forger("pin", "grey:2")
    forger("unload", "grey:1")
    status, out, err = forger("models")
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if not line.startswith("grey:4")]
    with Client(site.url, api_key=OPERATOR) as client:
        digests = {one.version: one.digest for one in client.admin.models() if one.name == "grey"}
    assert lines[1:] == [
        "grey:1    unloaded",
        f"grey:2    served    current, pinned  {digests[2][:19]}",
        f"grey:3    served                     {digests[3][:19]}",
    ]
    assert lines[0].startswith("colour:1  served    current          sha256:")
    assert forger("reload")[:2] == (0, out)


def test_the_shell_does_what_it_is_told_in_a_line(forger: Any) -> None:
    for arguments, begun in (
        (["rollback", "grey"], "grey:2  served  current, pinned  sha256:"),
        (["unpin", "grey"], "grey:3  served  current  sha256:"),
        (["pin", "grey"], "grey:3  served  current, pinned  sha256:"),
        (["unload", "grey:1"], "grey:1  unloaded\n"),
        (["load", "grey:1"], "grey:1  served  sha256:"),
    ):
        status, out, err = forger(*arguments)
        assert (status, err, out.count("\n")) == (0, "", 1)
        assert out.startswith(begun)


def test_the_shell_says_why_not(forger: Any, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    forger("pin", "grey:1")
    for arguments, status, told in (
        (["unload", "grey:1"], 1, "grey:1 is pinned"),
        (["load", "grey:9"], 1, "grey:9"),
        (["rollback", "grey"], 2, "none to go back to"),
        (["load", "grey"], 2, "mnist:2"),
        (["rollback", "grey:2"], 2, "the name alone"),
    ):
        ended, out, err = forger(*arguments)
        assert (ended, out) == (status, "")
        assert told in err
    monkeypatch.setenv("FORGER_API_KEY", site.visitor)
    status, out, err = forger("models")
    assert (status, out) == (1, "")
    assert "403" in err
