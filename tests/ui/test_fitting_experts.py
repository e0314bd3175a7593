"""Where no expert fits: what the commands say, as JSON and in words."""

import pytest

from tests.ui.commands import Command

KNOWN = ["The film was awful.", "Who made garden number 2?", "The soup was fine.", "Where is trip number 4?"]
STRANGE = "zq 9917 {}[] ;; qqqq zzzz 000 xx"


@pytest.fixture
def half(registry_command: Command) -> Command:
    """A generation to which no expert fits half of the validation rows."""
    fitted = registry_command("retrain-router", "--coverage", "0.5", "--promote", "--json").json
    assert fitted["generation"] == "router@2"
    assert (fitted["fit"]["kind"], fitted["fit"]["coverage"]) == ("states", 0.5)
    assert isinstance(fitted["fit"]["threshold"], float)
    return registry_command


def test_who_does_not_fit_is_null_with_the_reason(half: Command) -> None:
    [answer] = half("predict", STRANGE, "--json").json
    assert {answer[name] for name in ("expert", "task", "label", "probability")} == {None}
    assert (answer["generation"], answer["probabilities"], answer["mixed"]) == ("router@2", {}, {})
    assert answer["score"] > answer["threshold"]
    assert answer["reason"].startswith("no expert fits: the score of the text is ")
    assert sum(answer["weights"].values()) == pytest.approx(1, abs=1e-5)
    first, second, *_ = half("predict", STRANGE).out.splitlines()
    assert (first, second) == (STRANGE, f"  {answer['reason']}")


def test_several_answer_together_where_asked(half: Command) -> None:
    [together] = half("predict", STRANGE, "--fallback", "top-k", "--json").json
    assert together["label"] in together["probabilities"]
    assert together["reason"] is not None
    always = half("predict", STRANGE, *KNOWN, "--top-k", "2", "--json").json
    assert len(always) == 5
    assert all(one["expert"] is not None for one in always)
    assert always[0]["mixed"] == together["mixed"]
    [best] = half("predict", STRANGE, "--top-k", "1", "--json").json
    assert (best["expert"], best["mixed"]) == (together["expert"], {})


def test_the_base_model_answers_by_itself_where_asked(half: Command) -> None:
    wish = ("--fallback", "base", "--max-new-tokens", "5")
    bare, *others = half("predict", STRANGE, *KNOWN, *wish, "--json").json
    silent, *_ = half("predict", STRANGE, *KNOWN, "--json").json
    assert isinstance(bare["label"], str)
    assert isinstance(bare["base_model"], str)
    told = {"label": None, "cut": False, "base_model": None}
    assert {**bare, **told} == {**silent, **told}
    assert any(one["expert"] is not None and one["base_model"] is None for one in others)
    _, second, third, *_ = half("predict", STRANGE, *wish).out.splitlines()
    assert second.endswith(f"  by the base model {bare['base_model']}")
    assert third == f"  {silent['reason']}"


def test_an_expert_that_is_named_answers_alone_and_always(half: Command) -> None:
    [answer] = half("predict", STRANGE, "--expert", "mood", "--json").json
    assert (answer["expert"], answer["reason"], answer["score"]) == ("mood@1", None, None)
    refused = half("predict", STRANGE, "--expert", "mood", "--top-k", "2")
    assert (refused.code, refused.err.strip().splitlines()[-1]) == (
        2,
        "Error: an expert that is named answers alone: leave out top-k and fallback",
    )


@pytest.mark.parametrize(
    "given", [("--coverage", "0"), ("--coverage", "1.5"), ("--coverage", "nan"), ("--coverage", "most")]
)
def test_a_coverage_that_is_no_share_is_a_usage_error(
    registry_command: Command, given: tuple[str, str]
) -> None:
    outcome = registry_command("retrain-router", *given)
    assert outcome.code == 2
    assert "--coverage" in outcome.err


def test_the_threshold_is_shown_and_coverage_is_measured(half: Command) -> None:
    shown = half("show", "router@2", "--json").json
    assert shown["config"]["fit"]["coverage"] == 0.5
    assert "config.fit.threshold" in half("show", "router@2").out
    report = half("evaluate", "router@2", "--device", "cpu", "--json").json
    assert report["metrics"]["coverage"] == shown["metrics"]["test"]["coverage"] < 1
    assert {name for found in report["per_task"].values() for name in found} >= {"coverage"}
    header = half("evaluate", "router@2", "--device", "cpu").out
    assert "coverage" in header
