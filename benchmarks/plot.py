"""The plots of the README, as SVG: bars for the contestants, curves for the growth."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

from benchmarks.summary import Spread

# Okabe and Ito's colours, which people who see fewer colours can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#999999")
_LABELS_A_LINE = 3
WIDTH = 860
LEFT = 90
BAR = 18


def bars(title: str, subtitle: str, groups: Mapping[str, Mapping[str, Spread]]) -> str:
    """Horizontal bars, a group for each kind of load with a bar for each contestant: the median, and a line from the
    least to the most of the rounds."""
    most = max(spread.most for group in groups.values() for spread in group.values())
    scale = (WIDTH - LEFT - 90) / most
    parts, y = [], 62
    labels = list(next(iter(groups.values())))
    for index, label in enumerate(labels):
        line, place = divmod(index, _LABELS_A_LINE)
        x, top = 16 + place * (WIDTH - 16) / _LABELS_A_LINE, y + 20 * line
        parts += [_rectangle(x, top, 12, 12, COLOURS[index]), _text(x + 18, top + 11, label)]
    y += 34 + 20 * ((len(labels) - 1) // _LABELS_A_LINE)
    for kind, group in groups.items():
        parts.append(_text(LEFT - 10, y + len(group) * BAR / 2 + 4, kind, anchor="end", weight="bold"))
        for index, spread in enumerate(group.values()):
            middle = y + BAR / 2 - 1
            parts.append(_rectangle(LEFT, y, spread.median * scale, BAR - 3, COLOURS[index]))
            parts.append(_line(LEFT + spread.least * scale, middle, LEFT + spread.most * scale, middle))
            parts.append(_text(LEFT + spread.most * scale + 6, middle + 4, f"{spread.median:,.0f}"))
            y += BAR
        y += 14
    return _document(title, subtitle, y + 4, parts)


def curves(
    title: str, subtitle: str, steps: Sequence[str], panels: Mapping[str, Mapping[str, Sequence[float]]]
) -> str:
    """Curves over the same steps, a panel for each quantity; each panel's axis begins at zero.

    Args:
        steps: the label of each step.
        panels: by the quantity's name, each curve's values by its name.
    """
    parts, y, height = [], 96, 150
    width = WIDTH - LEFT - 90
    for index, label in enumerate(next(iter(panels.values()))):
        parts += [
            _rectangle(LEFT + 110 * index, 62, 12, 12, COLOURS[index]),
            _text(LEFT + 110 * index + 18, 73, label),
        ]
    xs = [LEFT + 40 + index * (width - 40) / max(1, len(steps) - 1) for index in range(len(steps))]
    for quantity, lines in panels.items():
        top = _round_up(max(max(values) for values in lines.values()))
        parts.append(_text(LEFT, y + 4, quantity, weight="bold"))
        bottom = y + height
        for share in (0, 0.5, 1):
            level = bottom - share * (height - 24)
            parts.append(_line(LEFT, level, LEFT + width + 20, level, "#cccccc"))
            parts.append(_text(LEFT - 10, level + 4, f"{share * top:,g}", anchor="end"))
        for index, values in enumerate(lines.values()):
            points = [(x, bottom - value / top * (height - 24)) for x, value in zip(xs, values, strict=True)]
            path = " ".join(f"{x:.1f},{level:.1f}" for x, level in points)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{COLOURS[index]}" stroke-width="2"/>'
            )
            parts += [
                f'<circle cx="{x:.1f}" cy="{level:.1f}" r="3" fill="{COLOURS[index]}"/>'
                for x, level in points
            ]
        y = bottom + 36
    parts += [_text(x, y - 14, step, anchor="middle") for x, step in zip(xs, steps, strict=True)]
    return _document(title, subtitle, y + 4, parts)


def _round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten, so that an axis ends at a round number."""
    power = 10 ** int(log10(value) // 1)
    return next(float(factor * power) for factor in (1, 2, 5, 10) if value <= factor * power)


def _document(title: str, subtitle: str, height: float, parts: Sequence[str]) -> str:
    head = [_text(16, 26, title, weight="bold", size=16), _text(16, 46, subtitle)]
    lines = "\n".join((_rectangle(0, 0, WIDTH, height, "#ffffff"), *head, *parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12">\n<title>{escape(title)}</title>\n{lines}\n</svg>\n'
    )


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#222222") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(
    x: float, y: float, text: str, anchor: str = "start", weight: str = "normal", size: int = 12
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="#222222">{escape(text)}</text>'
    )
