"""The C++ files of the repository, what they include, and the rooms of docs/ARCHITECTURE.md."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
TORCH = re.compile(r"^(torch|ATen|c10|caffe2|c10d)/")


@dataclass(frozen=True)
class Room:
    """A row of the room table."""

    name: str
    zone: str  # plain or tensor
    uses: tuple[str, ...]


def rooms(root: Path = ROOT) -> dict[str, Room]:
    """The table under "## Rooms", from top to bottom."""
    text = (root / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    if "\n## Rooms\n" not in text:
        raise SystemExit('docs/ARCHITECTURE.md: no section "## Rooms"')
    section = text.split("\n## Rooms\n", 1)[1].split("\n## ", 1)[0]
    table = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[1] in ("plain", "tensor"):
            name = cells[0].strip("`")
            table[name] = Room(name, cells[1], tuple(re.findall(r"[a-z]+", cells[2])))
    if not table:
        raise SystemExit('docs/ARCHITECTURE.md: the section "## Rooms" has no table of rooms')
    return table


@lru_cache(maxsize=None)
def includes(path: Path) -> tuple[tuple[int, str, str], ...]:
    """(line, "<" or '"', name) of each include of a file."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return tuple(
        (text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in INCLUDE.finditer(text)
    )


def files(root: Path, *folders: str) -> list[Path]:
    """Every C++ file below the folders, sorted."""
    found = []
    for folder in folders:
        found += [p for p in (root / folder).rglob("*") if p.suffix in (".h", ".cpp")]
    return sorted(found)


def closure(path: Path, root: Path = ROOT) -> list[Path]:
    """The file and every file of the repository that it includes, directly or not."""
    seen, queue = {path}, [path]
    while queue:
        for _, kind, name in includes(queue.pop()):
            target = root / name
            if kind == '"' and target.is_file() and target not in seen:
                seen.add(target)
                queue.append(target)
    return sorted(seen)
