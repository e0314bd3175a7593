"""Who is let in, and for how long: asked of a real server with three users."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from registry import Registry
from tests.ui.commands import run
from tests.ui.server.serving import (
    PASSWORD,
    Server,
    add_user,
    eventually,
    log_in,
    serving,
    start,
)
from ui.server.attempts import ALLOWED, FROM_ONE_ADDRESS, KEPT, WINDOW, Attempts
from ui.server.guard import FILES, FOLDERS, PAGES
from ui.server.logins import OPEN, _wanted

EVERYTHING = sorted({*PAGES, *(f"{folder}nothing" for folder in FOLDERS), f"{FILES}/etc/passwd"} - set(OPEN))


@pytest.mark.parametrize("path", sorted({*EVERYTHING} - {"/logout"}))
def test_a_stranger_sees_nothing_but_the_log_in(stranger: httpx.Client, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        found = stranger.request(method, path)
        assert found.status_code == 401
        assert found.headers["www-authenticate"] == "Bearer"
        assert method == "HEAD" or found.text == "Log in at /login, or send a token.\n"


def test_a_stranger_sees_the_log_in_and_that_the_server_is_well(stranger: httpx.Client) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok"}
    page = stranger.get("/login")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert '<input id="password" name="password" type="password"' in page.text
    assert "<script" not in page.text


def test_a_person_who_is_a_stranger_is_shown_the_form_wherever_they_go(stranger: httpx.Client) -> None:
    found = stranger.get("/?expert=sst2@1&x=1", headers={"Accept": "text/html,*/*"})
    assert (found.status_code, found.headers["location"]) == (
        303,
        "/login?next=/%3Fexpert%3Dsst2%401%26x%3D1",
    )
    page = stranger.get(found.headers["location"])
    assert page.status_code == 200
    assert '<input type="hidden" name="next" value="/?expert=sst2@1&amp;x=1">' in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Basic YWRhOmNvcnJlY3QgaG9yc2U="},
        {"Cookie": "registry-session-{port}=nothing"},
        {"Cookie": "registry-session-{port}="},
        {"Cookie": "access-token-unsecure-{port}=ada"},
        {"X-Forwarded-User": "ada"},
    ],
    ids=str,
)
def test_nothing_made_up_lets_anybody_in(
    team_server: Server, stranger: httpx.Client, headers: dict[str, str]
) -> None:
    made_up = {name: value.format(port=team_server.address[1]) for name, value in headers.items()}
    assert stranger.get("/config", headers=made_up).status_code == 401


def test_logging_in_and_out(team_server: Server, stranger: httpx.Client) -> None:
    found = log_in(stranger, "ada", wanted="/?expert=sst2@1")
    assert (found.status_code, found.headers["location"]) == (303, "/?expert=sst2@1")
    cookie = found.headers["set-cookie"]
    name = f"registry-session-{team_server.address[1]}"
    assert re.fullmatch(name + r"=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax", cookie)
    assert stranger.get("/").status_code == 200
    assert stranger.get("/config").json()["username"] == "ada"
    assert "You are logged in as ada." in stranger.get("/logout").text
    kept = {"Cookie": cookie.partition(";")[0]}
    left = stranger.post("/logout")
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert stranger.get("/config").status_code == 401
    assert stranger.get("/config", headers=kept).status_code == 401


def test_a_wrong_password_is_told_without_saying_which_part_was_wrong(stranger: httpx.Client) -> None:
    pages = {log_in(stranger, name, "not the password").text for name in ("bob", "nobody", "<b>", "\x00")}
    assert len(pages) == 1
    assert '<p role="alert">Unknown name or wrong password.</p>' in pages.pop()


def test_after_five_failures_one_has_to_wait_with_the_right_password_too(stranger: httpx.Client) -> None:
    for _ in range(5):
        assert log_in(stranger, "eve", "not the password").status_code == 401
    for password in ("not the password", PASSWORD):
        found = log_in(stranger, "eve", password)
        assert found.status_code == 429
        assert 800 < int(found.headers["retry-after"]) <= 900
        assert "Too many failed log-ins. Try again in 15 minutes." in found.text
    assert log_in(stranger, "ada").status_code == 303


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/", "/"),
        ("/?expert=a%20b&x=1", "/?expert=a%20b&x=1"),
        ("http://127.0.0.1:7860/lineage/a.svg", "/lineage/a.svg"),
        ("https://evil.example/a", "/a"),
        ("//evil.example/a", "/a"),
        ("///evil.example/a", "/evil.example/a"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/alert(1)"),
        ("/a\r\nSet-Cookie: b=c", "/"),
        ("/login", "/"),
        ("/logout", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_after_the_log_in_comes_a_page_of_this_server(wanted: str, page: str) -> None:
    assert _wanted(wanted) == page


def test_a_token_is_as_good_as_a_session_until_it_is_removed(
    team_server: Server, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the client asks the Hub which agents there are.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    token = run(team_server.home, "token", "add", "bob", "laptop", "--json").json["secret"]
    headers = {"Authorization": f"Bearer {token}"}
    assert stranger.get("/config", headers=headers).json()["username"] == "bob"
    assert stranger.get("/metrics", headers=headers).status_code == 200
    client = Client(f"http://127.0.0.1:{team_server.address[1]}", headers=headers, verbose=False)
    try:
        assert client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    finally:
        client.close()
    run(team_server.home, "token", "remove", "bob", "laptop")
    assert eventually(lambda: stranger.get("/config", headers=headers).status_code == 401, 5)


def test_somebody_who_is_removed_is_out_within_seconds(team_server: Server, stranger: httpx.Client) -> None:
    add_user(team_server.home, "carl")
    assert log_in(stranger, "carl").status_code == 303
    assert stranger.get("/config").status_code == 200
    run(team_server.home, "user", "remove", "carl")
    assert eventually(lambda: stranger.get("/config").status_code == 401, 5)


def test_a_session_outlives_the_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    add_user(home, "ada")
    with serving(home, "--no-worker") as first, first.client() as client:
        log_in(client, "ada")
        [session] = client.cookies.values()
    with serving(home, "--no-worker") as second, second.client() as client:
        headers = {"Cookie": f"registry-session-{second.address[1]}={session}"}
        assert client.get("/config", headers=headers).json()["username"] == "ada"


def test_the_first_user_ends_the_time_without_log_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "--no-worker") as server, server.client() as client:
        assert client.get("/config").json()["username"] == ""
        assert "Nobody is logged in" in client.get("/logout").text
        add_user(home, "ada")
        assert eventually(lambda: client.get("/config").status_code == 401, 5)


@pytest.mark.parametrize(
    "arguments",
    [["--host", "0.0.0.0"], ["--allow-host", "registry.example"], ["--proxy", "127.0.0.1"]],
    ids=str,
)
def test_without_users_others_are_not_served(tmp_path: Path, arguments: list[str]) -> None:
    with start(tmp_path / "home", subprocess.PIPE, *arguments) as process:
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert said.endswith("and nobody can log in. Add a user first: registry user add NAME\n")
    assert said.count("\n") == 1


def test_with_users_others_are_served_by_the_names_allowed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    add_user(home, "ada")
    arguments = (
        "--no-worker",
        "--host",
        "0.0.0.0",
        "--allow-host",
        "registry.example",
        "--proxy",
        "127.0.0.1",
    )
    with serving(home, *arguments) as server, server.client() as client:
        asked = {"Host": "registry.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        page = client.post("/login", headers=asked, data={"name": "ada", "password": PASSWORD})
        assert page.status_code == 303
        assert page.headers["set-cookie"].endswith("; SameSite=lax; Secure")
        session = {"Cookie": page.headers["set-cookie"].partition(";")[0]}
        assert client.get("/config", headers=asked | session).json()["root"] == "https://registry.example"
        assert client.get("/config", headers={"X-Forwarded-Host": "evil.example"}).status_code == 400
        with Registry(home) as registry:
            registry.users.remove("ada")
        assert eventually(lambda: client.get("/config", headers=asked | session).status_code == 401, 5)


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_failures_are_counted_by_name_and_address_for_a_quarter_of_an_hour() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for second in range(ALLOWED):
        clock.now = float(second)
        assert attempts.wait("192.0.2.1", "ada") == 0
    assert attempts.wait("192.0.2.1", "ada") == WINDOW - (ALLOWED - 1)
    assert attempts.wait("192.0.2.1", "bob") == 0
    assert attempts.wait("192.0.2.2", "ada") == 0
    clock.now = WINDOW
    assert attempts.wait("192.0.2.1", "ada") == 0
    assert attempts.wait("192.0.2.1", "ada") == 1


def test_a_success_clears_what_failed_before_it() -> None:
    attempts = Attempts(Clock())
    for _ in range(3 * ALLOWED):
        assert attempts.wait("192.0.2.1", "ada") == 0
        attempts.succeeded("192.0.2.1", "ada")


def test_one_address_cannot_try_many_names() -> None:
    attempts = Attempts(Clock())
    allowed = [attempts.wait("192.0.2.1", f"user{number}") == 0 for number in range(2 * FROM_ONE_ADDRESS)]
    assert allowed == [True] * FROM_ONE_ADDRESS + [False] * FROM_ONE_ADDRESS


def test_failures_take_a_bounded_amount_of_memory() -> None:
    attempts = Attempts(Clock())
    for number in range(2 * KEPT):
        attempts.wait(f"address {number}", "ada")
    assert len(attempts._failed) == KEPT


def test_many_tries_at_once_are_no_more_than_one_after_the_other(team_server: Server) -> None:
    add_user(team_server.home, "dora")

    def attempt(_: int) -> int:
        with team_server.client() as client:
            return log_in(client, "dora", "not the password").status_code

    with ThreadPoolExecutor(12) as pool:
        found = sorted(pool.map(attempt, range(12)))
    assert found == [401] * ALLOWED + [429] * (12 - ALLOWED)


@pytest.mark.parametrize(
    "body", [b"name=" + b"&name=" * 20, b"\xff\xfe\x00", b"name[]=1&password=2", b"{}"], ids=str
)
def test_what_is_not_the_form_logs_nobody_in(stranger: httpx.Client, body: bytes) -> None:
    assert stranger.post("/login", content=body).status_code in (400, 401)
