"""The queue against a dictionary: whatever is asked in whatever order, both agree on every job."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import create_engine

from registry import queue, schema
from registry.errors import ConflictError, FencedError
from registry.owners import Claim

OWNERS = ("ada", "bob", "cy")
HOUR, PAST = 3_600.0, -1.0


class Machine(RuleBasedStateMachine):
    """Jobs as `{number: {field: value}}`; a lease is either long or over."""

    claims = Bundle("claims")

    @initialize()
    def start(self) -> None:
        self.connection = create_engine("sqlite://").connect()
        schema.metadata.create_all(self.connection)
        self.jobs: dict[int, dict[str, object]] = {}
        self.dead: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            self.connection.engine.dispose()

    def gone(self, owner: str) -> bool:
        return owner in self.dead

    def waiting(self, job: int) -> bool:
        return self.jobs[job]["state"] in ("queued", "needs_recovery")

    def holds(self, claim: Claim) -> bool:
        mine = {"state": "running", "attempt": claim.attempt, "owner": claim.owner}
        return mine.items() <= self.jobs[claim.job].items()

    def end_attempt(self, job: int) -> None:
        model = self.jobs[job]
        again = "needs_recovery" if model["attempt"] < model["most"] else "failed"
        model.update(state="cancelled" if model["asked"] else again, owner=None)

    def recovered(self) -> None:
        for job, model in self.jobs.items():
            if model["state"] == "running" and (model["over"] or model["owner"] in self.dead):
                self.end_attempt(job)

    @rule(params=st.integers(0, 2), key=st.sampled_from([None, "router"]))
    def enqueue(self, params: int, key: str | None) -> None:
        asked = {"number": params, "key": key}
        made = queue.enqueue(self.connection, "test", asked, inputs=(), task=None, exclusive_key=key)
        same = [job for job in self.jobs if self.waiting(job) and self.jobs[job]["params"] == asked]
        expected = min(same, default=len(self.jobs) + 1)
        assert made.id == expected
        fresh = {"state": "queued", "attempt": 0, "most": 3, "owner": None, "asked": False}
        self.jobs.setdefault(expected, {**fresh, "params": asked, "key": key, "over": False})

    @rule(target=claims, owner=st.sampled_from(OWNERS), lease=st.sampled_from([HOUR, PAST]))
    def claim(self, owner: str, lease: float) -> object:
        claim = queue.claim(self.connection, owner, lease, self.gone, None)
        self.recovered()
        busy = {model["key"] for model in self.jobs.values() if model["state"] == "running"} - {None}
        free = [job for job in self.jobs if self.waiting(job) and self.jobs[job]["key"] not in busy]
        if not free:
            assert claim is None
            return multiple()
        model = self.jobs[min(free)]
        model.update(state="running", owner=owner, attempt=model["attempt"] + 1, over=lease < 0)
        assert claim == Claim(min(free), model["attempt"], owner)
        return claim

    @rule(owner=st.sampled_from(OWNERS))
    def die(self, owner: str) -> None:
        self.dead.add(owner)

    @rule(owner=st.sampled_from(OWNERS))
    def start_again(self, owner: str) -> None:
        self.dead.discard(owner)

    @rule()
    def recover(self) -> None:
        queue.recover(self.connection, self.gone)
        self.recovered()

    @rule(claim=claims, verb=st.sampled_from(["renew", "report", "check"]))
    def go_on(self, claim: Claim, verb: str) -> None:
        more = {"renew": (HOUR,), "report": ({"stage": "training"},), "check": ()}
        if self.written(claim, verb, *more[verb]) and verb == "renew":
            self.jobs[claim.job]["over"] = False

    @rule(claim=claims, verb=st.sampled_from(["finish", "fail", "interrupt", "release"]))
    def end(self, claim: Claim, verb: str) -> None:
        more = {"finish": ({},), "fail": ("Error", "why"), "interrupt": ("why",), "release": ()}
        if not self.written(claim, verb, *more[verb]):
            return
        model = self.jobs[claim.job]
        if verb == "interrupt" or (verb == "release" and model["asked"]):
            self.end_attempt(claim.job)
        elif verb == "release":
            model.update(state="queued", owner=None, most=model["most"] + 1)
        else:
            model.update(state={"finish": "done", "fail": "failed"}[verb], owner=None)

    def written(self, claim: Claim, verb: str, *more: object) -> bool:
        if self.holds(claim):
            getattr(queue, verb)(self.connection, claim, *more)
            return True
        with pytest.raises(FencedError):
            getattr(queue, verb)(self.connection, claim, *more)
        return False

    @rule(job=st.integers(1, 4))
    def cancel(self, job: int) -> None:
        model = self.jobs.get(job)
        if model is None:
            return
        self.recovered()
        if model["state"] in ("done", "failed"):
            with pytest.raises(ConflictError):
                queue.cancel(self.connection, job, self.gone)
            return
        queue.cancel(self.connection, job, self.gone)
        model.update(asked=True, state="cancelled" if self.waiting(job) else model["state"])

    @rule(job=st.integers(1, 4))
    def retry(self, job: int) -> None:
        model = self.jobs.get(job)
        if model is None:
            return
        self.recovered()
        if model["state"] not in ("failed", "cancelled"):
            with pytest.raises(ConflictError):
                queue.retry(self.connection, job, self.gone)
            return
        queue.retry(self.connection, job, self.gone)
        model.update(state="queued", asked=False, most=model["attempt"] + 3)

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "connection"):
            return
        found = {
            job.id: (job.state, job.attempt, job.max_attempts, job.owner, job.cancel_requested)
            for job in queue.every(self.connection)
        }
        assert found == {
            job: tuple(model[name] for name in ("state", "attempt", "most", "owner", "asked"))
            for job, model in self.jobs.items()
        }


def test_the_queue_does_what_a_dictionary_would() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
        ),
    )
