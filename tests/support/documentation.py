"""The project's Markdown, read as GitHub reads it: headings, links, tables, code spans and blocks of code."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.running import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])


@cache
def tokens(page: Path) -> list[Token]:
    """A page's blocks, each with its inline parts as children."""
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def inline(page: Path, kind: str) -> Iterator[Token]:
    """The inline parts of one kind, `link_open` or `code_inline` say."""
    for block in tokens(page):
        yield from (part for part in block.children or () if kind == part.type)


def anchors(page: Path) -> set[str]:
    """The fragments that lead to the page's headings, as GitHub makes them."""
    blocks = tokens(page)
    titles = [after.content for block, after in pairwise(blocks) if "heading_open" == block.type]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks_of_code(page: Path, language: str) -> list[str]:
    """The fenced blocks in one language."""
    return [
        block.content for block in tokens(page) if "fence" == block.type and language == block.info.strip()
    ]


def rows(page: Path, heading: str) -> list[list[str]]:
    """The rows of the tables below a heading, up to the next one, as the Markdown of their cells."""
    found: list[list[str]] = []
    title = ""
    for before, block in pairwise(tokens(page)):
        if "heading_open" == before.type:
            title = block.content
        elif title == heading and "tr_open" == before.type and "td_open" == block.type:
            found.append([])
        elif title == heading and "td_open" == before.type:
            found[-1].append(block.content)
    return found


def code(markdown: str) -> list[str]:
    """The code spans in a piece of Markdown."""
    return re.findall(r"`([^`]+)`", markdown)
