"""Settings: whatever is wrong with one stops the start, with a sentence that names it and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from service import preflight
from service.access.rates import Rate
from service.errors import InvalidSettings
from service.settings import default_model_name, load_settings
from tests.fakes.keys import new_key
from tests.fakes.models import CONDITIONAL, FakeModel, write_model
from tests.fakes.nobody import as_nobody, open_folder


def test_nothing_set_is_the_models_beside_the_service() -> None:
    settings = load_settings({})
    assert settings.models_dir == Path(__file__).resolve().parents[2] / "models"
    assert (settings.max_images, settings.max_vectors) == (64, 65_536)
    assert settings.max_body_bytes == 8 * 1024 * 1024
    assert settings.cors_origins == ()


def test_values_are_read_and_frozen(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "FORGER_MODELS_DIR": str(tmp_path),
            "FORGER_THREADS": "3",
            "FORGER_CORS_ORIGINS": "https://a.example, http://b.example:8080",
            "PATH": "/bin",
        }
    )
    assert (settings.models_dir, settings.threads) == (tmp_path.resolve(), 3)
    assert settings.cors_origins == ("https://a.example", "http://b.example:8080")
    with pytest.raises(ValidationError):
        settings.threads = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("FORGER_MAXIMAGES", "3", "FORGER_MAX_IMAGES"),
        ("FORGER_max_images", "3", "FORGER_MAX_IMAGES"),
        ("FORGER_MAX_IMAGES", "many", "1 to 4096"),
        ("FORGER_MAX_IMAGES", "0", "1 to 4096"),
        ("FORGER_MAX_IMAGES", "2.5", "1 to 4096"),
        ("FORGER_MAX_IMAGES", "", "1 to 4096"),
        ("FORGER_DEVICE", "gpu", "auto, cpu or cuda"),
        ("FORGER_DEADLINE_MS", "-1", "1 to 600000"),
        ("FORGER_MODELS_DIR", "/nowhere/at/all", "an existing directory"),
        ("FORGER_CORS_ORIGINS", "example.org", "https://example.org"),
        ("FORGER_DEFAULT_MODEL", "No Such", "the name of a model"),
        ("FORGER_KEYS_FILE", "/nowhere/at/all", "python -m service.access makes"),
        ("FORGER_KEYS_FILE", "/proc", "python -m service.access makes"),
        ("FORGER_KEYS_FILE", "/" + "x" * 5000, "cannot be looked at"),
        ("FORGER_KEY_REQUESTS", "600", "a rate such as 600/minute"),
        ("FORGER_KEY_IMAGES", "0/day", "images, or vectors, that a key may draw"),
        ("FORGER_KEY_REQUESTS", "600/minute", "set FORGER_KEYS_FILE or FORGER_API_KEYS"),
        ("FORGER_MODELS_POLL_S", "0.01", "0.1 to 3600 seconds"),
        ("FORGER_MODELS_POLL_S", "4000", "0.1 to 3600 seconds"),
        ("FORGER_MODELS_POLL_S", "nan", "0.1 to 3600 seconds"),
        ("FORGER_MODEL_BUDGET_MB", "1", "16 to 65536 MiB"),
        ("FORGER_STATE_FILE", "/nowhere/at/all", "a directory that can be written"),
        ("FORGER_STATE_FILE", "/", "a directory that can be written"),
        ("FORGER_QUEUE_ROWS", "10", "FORGER_MAX_IMAGES"),
        ("FORGER_QUEUE_VECTORS", "10", "FORGER_MAX_VECTORS"),
        ("FORGER_MAX_BODIES_BYTES", "65536", "FORGER_MAX_BODY_BYTES"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(key: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        load_settings({key: value})
    assert key in str(refusal.value)
    assert allowed in str(refusal.value)


def test_limits_are_rates_and_nothing_is_none(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "FORGER_API_KEYS": "a-key-of-this-test",
            "FORGER_KEY_REQUESTS": "600/minute",
            "FORGER_KEY_IMAGES": "",
        }
    )
    assert (settings.key_requests, settings.key_images) == (Rate(600, 60), None)
    assert settings.asks_for_keys
    nothing = load_settings({"FORGER_KEYS_FILE": "", "FORGER_KEY_IMAGES": ""})
    assert (nothing.keys_file, nothing.asks_for_keys) == (None, False)


def test_a_broken_file_of_keys_stops_the_start_with_its_line(models_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    new_key(file, "alice", "generate")
    environ = {"FORGER_MODELS_DIR": str(models_dir), "FORGER_KEYS_FILE": str(file)}
    preflight.check_or_exit(load_settings(environ))
    file.write_text(file.read_text() + '{"id": "bob"}')
    with pytest.raises(SystemExit, match=r"FORGER_KEYS_FILE=.*keys.jsonl, line 2: hash: is missing; allowed"):
        preflight.check_or_exit(load_settings(environ))


def test_no_key_is_in_what_is_raised_of_a_wrong_setting() -> None:
    """Not in the error, and not in the error that it comes from, which a stack trace would show."""
    for key, value in (("FORGER_API_KEYS", "a key with spaces"), ("FORGER_KEY_IMAGES", "a key by mistake")):
        with pytest.raises(InvalidSettings) as refusal:
            load_settings({key: value})
        assert value not in str(refusal.value.__cause__)
        assert (value in str(refusal.value)) is (key == "FORGER_KEY_IMAGES")


def test_what_kubernetes_sets_for_a_service_named_forger_is_no_setting() -> None:
    load_settings(
        {
            "FORGER_SERVICE_HOST": "10.0.0.1",
            "FORGER_SERVICE_PORT_HTTP": "80",
            "FORGER_PORT": "tcp://10.0.0.1:80",
            "FORGER_PORT_80_TCP_ADDR": "10.0.0.1",
        }
    )


def test_the_default_model_is_mnist_or_the_first_or_what_is_configured() -> None:
    assert default_model_name(None, ["a", "mnist", "z"]) == "mnist"
    assert default_model_name(None, ["b", "a"]) == "a"
    assert default_model_name("z", ["a", "mnist", "z"]) == "z"
    with pytest.raises(InvalidSettings, match=r"FORGER_DEFAULT_MODEL='x'.*allowed: a, b"):
        default_model_name("x", ["b", "a"])
    with pytest.raises(InvalidSettings, match="FORGER_MODELS_DIR"):
        default_model_name(None, [])


def test_the_start_needs_one_sound_version_of_the_default_model(tmp_path: Path) -> None:
    settings = load_settings({"FORGER_MODELS_DIR": str(tmp_path), "FORGER_DEFAULT_MODEL": "grey"})
    with pytest.raises(SystemExit, match="FORGER_MODELS_DIR"):
        preflight.check_or_exit(settings)
    first = write_model(tmp_path, CONDITIONAL)
    preflight.check_or_exit(settings)
    newer = write_model(tmp_path, FakeModel("grey", version=2))
    newer.generator.write_bytes(b"other")
    preflight.check_or_exit(settings)
    first.manifest.unlink()
    with pytest.raises(
        SystemExit, match=r"grey:2: generator.onnx is 5 bytes long.*grey:1: manifest.json is missing"
    ):
        preflight.check_or_exit(settings)


def test_a_directory_of_models_that_cannot_be_read_stops_the_start_with_a_sentence() -> None:
    with open_folder() as root:
        settings = load_settings({"FORGER_MODELS_DIR": str(root)})
        folder = write_model(root, CONDITIONAL).path.parent
        for closed in (folder, root):
            closed.chmod(0)
            said = r"FORGER_MODELS_DIR.*cannot be looked at: Permission denied"
            with as_nobody(), pytest.raises(SystemExit, match=said):
                preflight.check_or_exit(settings)
            closed.chmod(0o755)
        with as_nobody():
            preflight.check_or_exit(settings)


def test_cuda_without_a_device_stops_the_start(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "cuda_devices", lambda: 0)
    settings = load_settings({"FORGER_MODELS_DIR": str(models_dir), "FORGER_DEVICE": "cuda"})
    with pytest.raises(SystemExit, match=r"FORGER_DEVICE='cuda': no CUDA device"):
        preflight.check_or_exit(settings)
