"""The article inside a web page: HTML to text, without menus, adverts, comments and notices.

Blocks are kept by their length and their share of links, below the page's likeliest container. It
never fetches anything. Parsing is `selectolax` (HTML5, in C), imported here only.
"""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

_LOOKS_LIKE_HTML = re.compile(
    r"<(?:!doctype|html|body|div|p|br|span|article|a|h[1-6]|ul|li)\b", re.I
)
_DROPPED = (
    "script, style, noscript, template, iframe, svg, form, button, select, nav, aside, footer, "
    "figure, dialog, object, video, audio, [hidden], [aria-hidden=true], [role=navigation], "
    "[role=complementary], [role=banner], [role=dialog], [role=contentinfo]"
)
_CONTAINERS = ("[itemprop=articleBody]", "article", "main", "[role=main]")
_BOILERPLATE = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|menu|sidebar|breadcrumbs?|comments?|related|recommended|share|"
    r"sharing|social|promo|advert|ads?|sponsor(?:ed)?|newsletter|subscribe|signup|cookies?|consent|"
    r"popup|modal|footer|byline|caption|tags|pagination|disclaimer|copyright|toolbar)(?:$|[\s_-])",
    re.I,
)
_NOTICE = re.compile(
    r"^(?:(?:read|see|watch|listen) (?:more|also|next)\b|related(?: articles?| stories)?:|"
    r"(?:sign up|subscribe|follow us|share this|click here|advertisement|all rights reserved|"
    r"copyright|©|photo(?:graph)?(?: credit)?:|image(?: credit| source)?:|getty images|"
    r"this (?:site|website) uses cookies|we use cookies|continue reading|story continues|"
    r"published (?:on|at)?|last updated|enable javascript|skip to))",
    re.I,
)
# fmt: off
_BLOCKS = frozenset(
    {
        "address", "article", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figcaption",
        "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre",
        "section", "table", "tbody", "td", "th", "tr", "ul",
    }
)
# fmt: on
_HEADLINES = ("h1", "title")
_BYLINE = re.compile(r"^(?:By|BY|by) (?:[A-Z][\w'’.-]*,? ?(?:and )?){1,6}$")
_SPACE = re.compile(r"\s+")
_MIN_ARTICLE = 200  # characters; a shorter container is a teaser
_MAX_LINKS = 0.4  # share of a block's characters
_SHORT_NOTICE = 160
# Nodes with a suspicious name whose text is measured; each costs time in proportion to the page.
_MAX_LOOKS = 200


@dataclass(frozen=True, slots=True)
class Article:
    """What a page says.

    Attributes:
        headline: the page's first headline, "" without one.
        body: paragraphs, one a line.
    """

    headline: str
    body: str


@dataclass(slots=True)
class _Block:
    text: list[str]
    linked: int = 0


def looks_like_html(text: str) -> bool:
    """Whether the text has tags that pages are made of."""
    return bool(_LOOKS_LIKE_HTML.search(text))


def read_article(text: str) -> Article:
    """Reads a page, a piece of HTML, or plain text (whose lines are taken as paragraphs)."""
    if not looks_like_html(text):
        lines = (_SPACE.sub(" ", line).strip() for line in text.splitlines())
        return Article("", "\n".join(line for line in lines if line and not _is_notice(line)))
    tree = LexborHTMLParser(text)
    headline = _headline(tree)
    for node in tree.css(_DROPPED):
        node.decompose()
    root = tree.body or tree.root
    if root is None:
        return Article(headline, "")
    container = _container(tree) or root
    return Article(headline, "\n".join(_paragraphs(container, headline)))


def _headline(tree: LexborHTMLParser) -> str:
    for name in _HEADLINES:
        node = tree.css_first(name)
        text = _SPACE.sub(" ", node.text()).strip() if node is not None else ""
        if text:
            return text
    return ""


def _container(tree: LexborHTMLParser) -> LexborNode | None:
    for selector in _CONTAINERS:
        nodes = tree.css(selector)
        if nodes:
            longest = max(nodes, key=lambda node: len(node.text()))
            if len(longest.text()) >= _MIN_ARTICLE:
                return longest
    return None


def _paragraphs(container: LexborNode, headline: str) -> list[str]:
    """Walks the container without recursion: hostile pages nest deeply."""
    sizes = _Sizes(len(container.text()))
    blocks = [_Block([])]
    # None is the border between two blocks.
    stack: list[tuple[LexborNode | None, bool]] = [(container.first_child, False)]
    while stack:
        node, linked = stack.pop()
        if node is None:
            blocks.append(_Block([]))
            continue
        if node.next is not None:
            stack.append((node.next, linked))
        name = node.tag
        if name == "-text":
            piece = node.text_content or ""
            blocks[-1].text.append(piece)
            blocks[-1].linked += len(piece.strip()) if linked else 0
        elif name is not None and name.isalnum() and not sizes.is_boilerplate(node):
            if name in _BLOCKS:
                blocks.append(_Block([]))
                stack.append((None, linked))
            if node.first_child is not None:
                stack.append((node.first_child, linked or name == "a"))
    found = []
    for block in blocks:
        line = _SPACE.sub(" ", "".join(block.text)).strip()
        too_linked = block.linked > _MAX_LINKS * len(line)
        if line and line != headline and not too_linked and not _is_notice(line):
            found.append(line)
    return found


class _Sizes:
    """Tells boilerplate by its names, but keeps a wrapper ("has-sidebar") of most text."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._looks = _MAX_LOOKS

    def is_boilerplate(self, node: LexborNode) -> bool:
        attributes = node.attributes
        marks = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        if not marks.strip() or not _BOILERPLATE.search(marks):
            return False
        self._looks -= 1
        return self._looks < 0 or 2 * len(node.text()) < self._total


def _is_notice(line: str) -> bool:
    return len(line) <= _SHORT_NOTICE and bool(_NOTICE.match(line) or _BYLINE.match(line))
