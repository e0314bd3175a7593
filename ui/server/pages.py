"""The pages outside the app, as plain HTML without any script."""

from html import escape
from math import ceil

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; background: Canvas; color: CanvasText; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 12vh auto; padding: 0 1rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input { padding: .5rem; margin: .2rem 0 1rem; border: 1px solid GrayText; border-radius: .3rem; }
button { padding: .6rem; border: 0; border-radius: .3rem; background: #1d4ed8; color: #fff; cursor: pointer; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px; }
[role=alert] { border-left: 4px solid #dc2626; padding-left: .7rem; }
"""


def log_in(wanted: str, message: str = "", *, status: int = 200, retry_after: float = 0.0) -> HTMLResponse:
    """The form to log in; afterwards comes the page `wanted`."""
    alert = f'<p role="alert">{escape(message)}</p>' if message else ""
    page = _page(
        "Log in",
        f"""<h1>Expert Registry</h1>
{alert}<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(wanted)}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button>
</form>""",
        status,
    )
    if retry_after:
        page.headers["retry-after"] = str(ceil(retry_after))
    if status == 401:
        page.headers["www-authenticate"] = "Bearer"
    return page


def log_out(user: str | None) -> HTMLResponse:
    """The button to log out, for somebody who is logged in."""
    if not user:
        return _page("Log out", '<h1>Nobody is logged in</h1>\n<p><a href="/">To the registry</a></p>')
    return _page(
        "Log out",
        f"""<h1>Log out?</h1>
<p>You are logged in as {escape(user)}. <a href="/">Back to the registry</a></p>
<form method="post" action="/logout"><button>Log out</button></form>""",
    )


def wait_message(seconds: float) -> str:
    """How long to wait after too many failures."""
    minutes = ceil(seconds / 60)
    return f"Too many failed log-ins. Try again in {minutes} minute{'s' if minutes > 1 else ''}."


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Expert Registry</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
""",
        status,
        {"cache-control": "no-store"},
    )
