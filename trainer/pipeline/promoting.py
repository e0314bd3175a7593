"""What becomes of a generation once the gate has spoken: which aliases move, and what is said of it."""

from dataclasses import dataclass, replace

from registry import Generation, NotFoundError, Registry
from registry.generations import PRODUCTION
from registry.records import AliasEvent
from trainer.pipeline.gate import Gate

CANDIDATE = "candidate"
"""The alias of the newest generation, promoted or not."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of a generation.

    Attributes:
        promoted: whether `production` stands for it.
        refused: whether it was to be promoted if the gate let it, and the gate did not.
        gate: the verdict; None if nobody ever asked for one.
    """

    promoted: bool
    refused: bool
    gate: Gate | None


@dataclass(frozen=True)
class Promotion:
    """The rules of one run.

    Attributes:
        promote: None: what the gate says; True: whatever it says; False: not.
        tolerance: points of accuracy that a task may lose.
        actor: who is on record for the moves.
    """

    registry: Registry
    promote: bool | None
    tolerance: float
    actor: str | None

    def is_open(self, generation: Generation) -> bool:
        """Whether a generation made earlier may still be promoted: one that has been in production before
        left it because a person said so, and comes back only when a person says so."""
        if self.promote is False or in_production(self.registry) == generation:
            return False
        return self.promote is True or not _moves(self.registry, PRODUCTION, generation)

    def as_it_was(self, generation: Generation) -> Settled:
        """Of a generation that is not asked about again, with the newest verdict on record."""
        moves = [
            move for alias in (PRODUCTION, CANDIDATE) for move in _moves(self.registry, alias, generation)
        ]
        verdict = next((Gate.from_json(move.gate) for move in moves if move.gate is not None), None)
        return Settled(promoted=in_production(self.registry) == generation, refused=False, gate=verdict)

    def settle(self, generation: Generation, gate: Gate) -> Settled:
        """Move the aliases. Called in the transaction that publishes, where nobody else moves one."""
        now = in_production(self.registry)
        if (now.name if now else None) != gate.against:
            moved = f"{gate.against or 'nothing'} to {now.name if now else 'nothing'}"
            problem = f"production moved from {moved} while {generation.name} was compared: run it again"
            gate = replace(gate, passed=False, problem=problem)
        if not _moves(self.registry, CANDIDATE, generation):
            self._move(generation, CANDIDATE, f"retrain-router: {gate}", gate)
        promoted = gate.passed if self.promote is None else self.promote
        if promoted:
            although = "" if gate.passed else " --promote, although"
            self._move(generation, PRODUCTION, f"retrain-router{although}: {gate}", gate)
        return Settled(promoted=promoted, refused=self.promote is None and not promoted, gate=gate)

    def _move(self, generation: Generation, alias: str, reason: str, gate: Gate) -> None:
        self.registry.promote(
            generation.name, alias=alias, reason=reason, actor=self.actor, gate=gate.as_json()
        )


def in_production(registry: Registry) -> Generation | None:
    """The generation that `production` stands for, if it stands for one."""
    targets = {alias.ref: alias.target for alias in registry.aliases()}
    target = targets.get(f"router@{PRODUCTION}")
    return None if target is None else registry.generation(target)


def _moves(registry: Registry, alias: str, generation: Generation) -> list[AliasEvent]:
    """When `alias` came to stand for `generation`, newest first."""
    try:
        return [move for move in registry.history(alias) if move.target == generation.name]
    except NotFoundError:
        return []
