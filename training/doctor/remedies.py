"""What to try against each failure, as settings of the recipe at hand."""

from __future__ import annotations

from collections.abc import Callable

from training.doctor.findings import Failure
from training.recipe_config import Recipe


def remedy(failure: Failure, recipe: Recipe) -> str:
    """Return what to try first, as options of ``python -m training train``."""
    return _REMEDIES[failure](recipe)


def _set(key: str, value: float) -> str:
    return f"--set {key}={value:g}"


def _slower(recipe: Recipe, player: str, times: int) -> str:
    rate = getattr(recipe, f"{player}_optimiser").learning_rate
    return _set(f"{player}_optimiser.learning_rate", rate / times)


def _both_slower(recipe: Recipe) -> str:
    settings = [_slower(recipe, "generator", 4), _slower(recipe, "discriminator", 4)]
    if recipe.precision != "float32":
        settings.append("--set precision=float32")
    elif not recipe.learning_rate_decay:
        settings.append(_set("learning_rate_decay", 0.5))
    return " ".join(settings)


def _other_data(_recipe: Recipe) -> str:
    return "look at the data: --dry-run says what is in it"


def _moving(player: str) -> Callable[[Recipe], str]:
    def settings(recipe: Recipe) -> str:
        if getattr(recipe, f"{player}_optimiser").learning_rate < 1e-5:
            return _set(f"{player}_optimiser.learning_rate", 2e-4)
        slower = _slower(recipe, player, 4)
        return f"{slower}, if it moved before; else see what keeps its weights from being trained"

    return settings


def _other_labels(recipe: Recipe) -> str:
    without = "--recipe dcgan" if recipe.networks.family in ("cgan", "acgan") else "--set conditional=false"
    return f"see that each label stands at its own image (--dry-run), or train without: {without}"


def _against_overfitting(recipe: Recipe) -> str:
    augmentation, networks = recipe.augmentation, recipe.networks
    if networks.family == "mlp":  # made for vectors too, which cannot be shifted
        settings = _set("networks.discriminator_dropout", min(0.8, networks.discriminator_dropout + 0.3))
    elif augmentation.translation < 0.1 or not augmentation.cutout:
        shift = max(augmentation.translation, 0.1)  # nothing on 8 pixels
        settings = f"{_set('augmentation.translation', shift)} {_set('augmentation.cutout', 0.3)}"
    elif not augmentation.colour:
        settings = _set("augmentation.colour", 1.0)
    else:
        settings = _slower(recipe, "discriminator", 2)
    return f"{settings}; more images help most, and --on-failure rollback keeps the best weights"


def _against_strength(recipe: Recipe) -> str:
    if recipe.loss == "minimax":
        return "--set loss=non-saturating"
    rate = min(recipe.discriminator_optimiser.learning_rate / 4, recipe.generator_optimiser.learning_rate)
    settings = [_set("discriminator_optimiser.learning_rate", rate)]
    if recipe.discriminator_steps > 1:
        settings.append(_set("discriminator_steps", 1))
    elif not recipe.instance_noise:
        settings.append(_set("instance_noise", 0.1))
    return " ".join(settings)


def _against_blindness(recipe: Recipe) -> str:
    if recipe.instance_noise > 0.2:
        return _set("instance_noise", 0.1)
    if recipe.augmentation.cutout > 0.5 or recipe.augmentation.translation > 0.3:
        return f"{_set('augmentation.cutout', 0)} {_set('augmentation.translation', 0.125)}"
    rate = min(2 * recipe.discriminator_optimiser.learning_rate, 1e-3)
    return f"{_set('discriminator_optimiser.learning_rate', rate)} {_set('discriminator_steps', 2)}"


def _against_ignored_labels(recipe: Recipe) -> str:
    match recipe.networks.family:
        case "acgan":
            return _set("class_loss", 2 * recipe.class_loss)
        case "cgan":
            return "--recipe default, whose labels enter every layer"
        case _:
            half = _set("batch_size", max(8, recipe.batch_size // 2))
            return f"{half}, or train longer: --kimg {2 * recipe.total_kimg:g}"


def _against_collapse(recipe: Recipe) -> str:
    settings = []
    if recipe.latent.dim < 16:
        settings.append(_set("latent.dim", 64))
    if recipe.loss not in ("wasserstein", "relativistic") and not recipe.penalties.on_gradients:
        settings.append(_slower(recipe, "generator", 2))
    if not settings:
        settings.append(_set("batch_size", 2 * recipe.batch_size))
    instead = ", or --recipe default" if recipe.name != "default" else ""
    return " ".join(settings) + instead


_REMEDIES: dict[Failure, Callable[[Recipe], str]] = {
    Failure.NON_FINITE: _both_slower,
    Failure.NO_VARIETY: _other_data,
    Failure.GENERATOR_STILL: _moving("generator"),
    Failure.DISCRIMINATOR_STILL: _moving("discriminator"),
    Failure.LABELS_SAY_NOTHING: _other_labels,
    Failure.DISCRIMINATOR_OVERFITS: _against_overfitting,
    Failure.DISCRIMINATOR_TOO_STRONG: _against_strength,
    Failure.DISCRIMINATOR_BLIND: _against_blindness,
    Failure.CONVERGENCE_FAILURE: _both_slower,
    Failure.OSCILLATION: _both_slower,
    Failure.LABEL_IGNORED: _against_ignored_labels,
    Failure.MODE_COLLAPSE: _against_collapse,
    Failure.CLASS_COLLAPSE: _against_collapse,
}
