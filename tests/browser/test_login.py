"""The pages to log in and out, in a real Chromium, in two lives of a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.hostile import LINE, LONG, TEXTS
from tests.browser.visit import Visit
from tests.ui.server.serving import PASSWORD, Server, add_user, serving
from ui.server.guard import FILES, FOLDERS, PAGES
from ui.server.logins import OPEN

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[..., Visit]

UNKNOWN = "Unknown name or wrong password."
WAIT = "Too many failed log-ins. Try again in 15 minutes."
TOLD = "Failed to load resource: the server responded with a status of 4"
"""What Chromium writes to the console for a page whose status says that the log-in failed."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("team") / "home"
    for name in ("ada", "bob", "eve"):
        add_user(home, name)
    return home


@pytest.fixture(scope="module")
def guarded(team: Path) -> Iterator[Server]:
    with serving(team, "--no-worker") as running:
        yield running


def log_in(seen: Visit, name: str, password: str = PASSWORD) -> None:
    seen.page.get_by_label("Name").fill(name)
    seen.page.get_by_label("Password").fill(password)
    seen.button("Log in").click()


def failed(seen: Visit, status: int) -> None:
    """The page's own status is no error of the page."""
    seen.allow(f"{status} http", TOLD)


def test_somebody_logs_in_looks_and_logs_out(guarded: Server, visit: Visiting) -> None:
    seen = visit(guarded, None)
    expect(seen.page).to_have_url(guarded.url.replace("0.0.0.0", "127.0.0.1") + "login?next=/")
    expect(seen.page.get_by_label("Name")).to_be_focused()
    log_in(seen, "ada")
    seen.open("About")
    seen.shows("Logged in as", "ada")
    [cookie] = seen.page.context.cookies()
    port = guarded.address[1]
    assert cookie["name"] == f"registry-session-{port}"
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)
    assert (cookie["domain"], cookie["path"]) == ("127.0.0.1", "/")
    assert seen.page.evaluate("document.cookie") == ""
    seen.page.goto(guarded.url + "logout")
    expect(seen.page.get_by_text("You are logged in as ada.")).to_be_visible()
    seen.button("Log out").click()
    expect(seen.page.get_by_label("Password")).to_be_visible()
    assert seen.page.context.cookies() == []
    seen.page.goto(guarded.url)
    expect(seen.page.get_by_label("Password")).to_be_visible()


def test_a_stranger_is_shown_nothing_and_every_address_says_so(guarded: Server, visit: Visiting) -> None:
    seen = visit(guarded, None)
    places = {*PAGES, *(f"{folder}a" for folder in FOLDERS), f"{FILES}/etc/passwd"} - {*OPEN, "/logout"}
    for place in sorted(places):
        url = guarded.url.rstrip("/") + place
        found = seen.page.request.get(url, headers={"Accept": "application/json"}, max_redirects=0)
        assert (found.status, found.text()) == (401, "Log in at /login, or send a token.\n")
        found = seen.page.request.get(url, headers={"Accept": "text/html"}, max_redirects=0)
        assert (found.status, found.headers["location"][:12]) == (303, "/login?next=")
        found = seen.page.request.post(url, headers={"Accept": "text/html"}, max_redirects=0)
        assert found.status == 401


def test_a_wrong_password_is_told_and_the_sixth_try_has_to_wait(guarded: Server, visit: Visiting) -> None:
    seen = visit(guarded, None)
    for _ in range(5):
        log_in(seen, "eve", "not the password")
        expect(seen.page.get_by_role("alert")).to_have_text(UNKNOWN)
        failed(seen, 401)
    for password in ("not the password", PASSWORD):
        log_in(seen, "eve", password)
        expect(seen.page.get_by_role("alert")).to_have_text(WAIT)
        failed(seen, 429)
    log_in(seen, "ada")
    seen.open("About")


def test_names_passwords_and_addresses_that_mean_harm_are_text(guarded: Server, visit: Visiting) -> None:
    seen = visit(guarded, None)
    for text in (LINE, LONG):
        log_in(seen, text, text)
        expect(seen.page.get_by_role("alert")).to_have_text(UNKNOWN)
        assert text[:20] not in seen.page.content()
        failed(seen, 401)
    wanted = seen.page.locator("input[name=next]")
    for text in TEXTS:
        seen.page.goto(f"{guarded.url}login?next={quote(text)}")
        assert wanted.input_value().startswith("/")
        assert seen.page.locator("main *").count() == 8
        seen.page.goto(f"{guarded.url}?{quote(text)}")
        expect(seen.page.get_by_label("Password")).to_be_visible()
    seen.page.goto(f"{guarded.url}login?next={quote('javascript:window.__xss=1')}")
    log_in(seen, "bob")
    seen.page.wait_for_url(guarded.url + "**")
    failed(seen, 404)  # There is no page of that name on this server, and none elsewhere was asked for.


def test_a_session_outlives_its_server_and_ends_with_its_user(team: Path, visit: Visiting) -> None:
    with serving(team, "--no-worker") as first:
        seen = visit(first, None)
        log_in(seen, "bob")
        seen.open("Playground")
        kept = seen.page.context.storage_state()
        seen.check()
        seen.page.close()
    with serving(team, "--no-worker", "--port", str(first.address[1])) as second:
        again = visit(second, None)
        again.page.context.add_cookies(kept["cookies"])  # type: ignore[arg-type]
        again.page.goto(second.url)
        again.open("About")
        again.shows("Logged in as", "bob")
        other = again.page.context.new_page()
        other.goto(second.url + "logout")
        other.get_by_role("button", name="Log out").click()
        expect(other.get_by_label("Password")).to_be_visible()
        again.page.goto(second.url)
        expect(again.page.get_by_label("Password")).to_be_visible()
        again.check()
        again.page.close()
