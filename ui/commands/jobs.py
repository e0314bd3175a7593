"""`jobs` and `worker`: work that was asked for, and who does it."""

import signal
from typing import TYPE_CHECKING

import click

from registry.owners import LEASE
from ui.commands.options import detach_option
from ui.group import Finite, RegistryGroup, Session, common_options, pass_session
from ui.views.jobs import job_json, made, summary

if TYPE_CHECKING:
    from registry import Job, Registry

number = click.argument("number", metavar="JOB", type=click.IntRange(min=1))


def finish(session: Session, registry: "Registry", job: "Job", *, detach: bool) -> None:
    """Runs a job and prints its result, or says where it waits; shared by all commands that make one."""
    from ui import outcomes, waiting

    if not detach:
        outcomes.show(session, registry, waiting.complete(registry, job))
    elif session.json:
        session.print_json({"job": job.id})
    else:
        click.echo(f"Job {job.id} waits. `registry worker` runs it; watch it: registry jobs watch {job.id}")


@click.group("jobs", cls=RegistryGroup)
def jobs() -> None:
    """See, stop and repeat work in the queue."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, help="Only jobs in this state; repeat it for more.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@common_options
@pass_session
def list_jobs(session: Session, states: tuple[str, ...], limit: int) -> None:
    """List jobs, newest first.

    States: queued, running, done, failed, cancelled, needs_recovery."""
    from ui import present

    with session.open() as registry:
        registry.jobs.recover()
        found = registry.jobs.list(*states, limit=limit)
    if session.json:
        session.print_json([job_json(job) for job in found])
    elif not found:
        click.echo("No such jobs. Ask for one: registry add-task --data FILE --detach")
    else:
        present.echo_table(
            ("job", "kind", "task", "state", "progress", "created"),
            [
                (
                    str(job.id),
                    job.kind,
                    job.task or "-",
                    job.state,
                    summary(job),
                    present.moment(job.created_at),
                )
                for job in found
            ],
        )


@jobs.command("show")
@number
@common_options
@pass_session
def show_job(session: Session, number: int) -> None:
    """Tell all about one job."""
    from ui import present

    with session.open() as registry:
        registry.jobs.recover()
        job = registry.jobs.get(number)
    if session.json:
        session.print_json(job_json(job))
        return
    present.echo_fields(
        {
            "job": f"{job.id} ({job.kind})",
            "state": job.state + (", asked to stop" if job.cancel_requested and not job.ended else ""),
            "attempt": f"{job.attempt} of at most {job.max_attempts}",
            **_progress(job),
            "task": job.task or "-",
            "made": ", ".join(made(job.result)) or "-",
            "created": present.moment(job.created_at),
            "started": "-" if job.started_at is None else present.moment(job.started_at),
            "finished": "-" if job.finished_at is None else present.moment(job.finished_at),
        }
    )


@jobs.command("watch")
@number
@common_options
@pass_session
def watch_job(session: Session, number: int) -> None:
    """Wait for a job and show how far it is.

    Ctrl-C stops looking; the job goes on."""
    from ui import outcomes, waiting

    with session.open() as registry:
        outcomes.show(session, registry, waiting.watch(registry, registry.jobs.get(number)))


@jobs.command("cancel")
@number
@common_options
@pass_session
def cancel_job(session: Session, number: int) -> None:
    """Stop a job.

    One that waits is cancelled at once, one that runs at its next step, at the latest after half a minute."""
    with session.open() as registry:
        job = registry.jobs.cancel(number)
    if session.json:
        session.print_json(job_json(job))
    elif job.ended:
        click.echo(f"Job {job.id} is cancelled.")
    else:
        click.echo(f"Job {job.id} is asked to stop.")


@jobs.command("retry")
@number
@detach_option
@common_options
@pass_session
def retry_job(session: Session, number: int, detach: bool) -> None:
    """Do a job again that failed or was stopped, or now one that waits.

    Training goes on from its last checkpoint."""
    from registry.queue import WAITING

    with session.open() as registry:
        registry.jobs.recover()
        job = registry.jobs.get(number)
        finish(session, registry, job if job.state in WAITING else registry.jobs.retry(number), detach=detach)


@jobs.command("logs")
@number
@common_options
@pass_session
def logs(session: Session, number: int) -> None:
    """Print what the attempts at a job have printed."""
    from trainer.executors.local import log
    from ui.views.jobs import log_text

    with session.open() as registry:
        path = log(registry.home, registry.jobs.get(number).id)
        text = log_text(registry, number)
    if session.json:
        session.print_json({"job": number, "path": path, "text": text})
    else:
        click.echo(text, nl=False)


@click.command("worker")
@click.option("--drain", is_flag=True, help="Stop when no job waits any more.")
@click.option(
    "--lease",
    type=Finite(min=1),
    default=LEASE,
    show_default=True,
    help="Seconds after which a worker that does not answer loses its job to another.",
)
@common_options
@pass_session
def worker(session: Session, drain: bool, lease: float) -> None:
    """Run jobs from the queue.

    Runs until it is stopped: Ctrl-C and SIGTERM let the job at hand stop in good order, and another worker go
    on with it. Start several to run several jobs at once."""
    from trainer.worker import Worker
    from ui import present, waiting

    def tell(job: "Job") -> None:
        if job.ended:
            error = f": {present.plain(job.error['message'])}" if job.error else ""
            click.echo(f"Job {job.id} ({job.kind}) is {job.state}{error}", err=True)
        else:
            waiting.tell_of_recovery(job)

    with (
        session.open() as registry,
        Worker(
            registry,
            executor=waiting.executor(),
            lease=lease,
            on_look=tell,
            on_trouble=lambda sentence: click.echo(sentence, err=True),
        ) as one,
    ):
        asked = waiting.Interrupts()

        def leave() -> None:
            asked.count += 1
            one.leave() if asked.count == 1 else one.kill()

        with waiting.handling(signal.SIGINT, leave), waiting.handling(signal.SIGTERM, leave):
            click.echo("Waiting for jobs." if not drain else "Running the jobs that wait.", err=True)
            one.run(drain=drain)


def _progress(job: "Job") -> dict[str, str]:
    """How far it is, at which pace, and why it ended if not well."""
    from ui import present

    found = {"progress": summary(job)}
    if job.error is not None and job.state != "done":
        found = {"error": f"{present.plain(job.error['message'])} (registry jobs logs {job.id} tells more)"}
    if job.progress is not None and job.progress["note"]:
        found["at" if job.ended else "now"] = present.plain(job.progress["note"])
    if job.progress is not None and job.state == "running" and job.progress["per_second"]:
        found["pace"] = f"{job.progress['per_second']:,.0f} a second"
    return found
