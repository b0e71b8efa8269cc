"""Ways in which an artefact is damaged, each a function of its folder; used to break it on purpose.

Every one is noticed, named, and mended by running the same command again.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

MANIFEST = "_manifest.json"
Damage = Callable[[Path], object]


def files_of(folder: Path) -> list[Path]:
    """The files of an artefact but its manifest, the largest last."""
    there = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return sorted((path for path in there if path.name != MANIFEST), key=_size)


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, size and modification time as they were."""
    about, content = path.stat(), bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def cut(path: Path, size: int) -> None:
    """Cut a file to a size."""
    os.truncate(path, size)


def _size(path: Path) -> int:
    return path.stat().st_size


def _swap(folder: Path) -> None:
    one, other = files_of(folder)[-2:]
    aside = folder.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _edit_manifest(folder: Path) -> None:
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["seconds"] = 12345.0
    path.write_text(json.dumps(manifest, indent=2) + "\n")


def _a_folder_for_a_file(folder: Path) -> None:
    path = files_of(folder)[-1]
    path.unlink()
    path.mkdir()


def _a_pipe_for_a_file(folder: Path) -> None:
    path = files_of(folder)[-1]
    path.unlink()
    os.mkfifo(path)


def _dangling(folder: Path) -> None:
    path = files_of(folder)[-1]
    path.unlink()
    path.symlink_to("nowhere")


def _largest(folder: Path) -> Path:
    return files_of(folder)[-1]


def _second_download(folder: Path) -> None:
    path = _largest(folder)
    shutil.copy(path, path.with_name(f"{path.stem} (1){path.suffix}"))


def _rewritten(folder: Path) -> None:
    path = _largest(folder)
    path.write_bytes(os.urandom(_size(path)))


def _copied(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def _next_part(folder: Path) -> None:
    path = _largest(folder)
    shutil.copy(path, path.with_name("part-00009.parquet"))


OF_FILES: dict[str, Damage] = {
    "a bit in the middle": lambda folder: flip(_largest(folder), _size(_largest(folder)) * 4),
    "the first bit": lambda folder: flip(_largest(folder), 0),
    "the last bit": lambda folder: flip(_largest(folder), _size(_largest(folder)) * 8 - 1),
    "cut by one byte": lambda folder: cut(_largest(folder), _size(_largest(folder)) - 1),
    "cut to nothing": lambda folder: cut(_largest(folder), 0),
    "longer by zeros": lambda folder: cut(_largest(folder), _size(_largest(folder)) + 4096),
    "zeros of the same size": lambda folder: _largest(folder).write_bytes(
        bytes(_size(_largest(folder)))
    ),
    "other bytes of the same size": _rewritten,
    "missing": lambda folder: _largest(folder).unlink(),
    "a folder is gone": lambda folder: (
        shutil.rmtree(_largest(folder).parent)
        if _largest(folder).parent != folder
        else _largest(folder).unlink()
    ),
    "two are swapped": _swap,
    "a second download": _second_download,
    "a part more": _next_part,
    "a stray file": lambda folder: (folder / "notes.txt").write_text("mine"),
    "a stray folder": lambda folder: (folder / "lstm" / "z").mkdir(parents=True),
    "a stray name": lambda folder: (folder / "a\nb\x1b[31m").write_text("mine"),
    "a folder for a file": _a_folder_for_a_file,
    "a pipe for a file": _a_pipe_for_a_file,
    "a link to nowhere": _dangling,
}
"""Of an artefact's files; its manifest stays."""

MANIFESTS: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(4096),
    "cut": b'{\n  "format": 1,\n  "stage": "tr',
    "not UTF-8": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no fields": b"{}",
    "no contents": b'{"format": 1, "key": "abc", "seal": "abc"}',
    "deep": b"[" * 100_000,
    "a strange format": b'{"format": "one", "key": "abc", "contents": {}, "seal": "abc"}',
    "a format that is true": b'{"format": true, "key": "abc", "contents": {}, "seal": "abc"}',
}
"""What may stand in a manifest instead of it."""


def _writes(text: bytes) -> Damage:
    return lambda folder: (folder / MANIFEST).write_bytes(text)


def _in_place_of_the_manifest(make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / MANIFEST).unlink()
        make(folder / MANIFEST)

    return damage


OF_MANIFESTS: dict[str, Damage] = {
    **{f"manifest: {name}": _writes(text) for name, text in MANIFESTS.items()},
    "manifest: missing": lambda folder: (folder / MANIFEST).unlink(),
    "manifest: edited": _edit_manifest,
    "manifest: half": lambda folder: cut(folder / MANIFEST, _size(folder / MANIFEST) // 2),
    "manifest: a folder": _in_place_of_the_manifest(Path.mkdir),
    "manifest: a link to itself": _in_place_of_the_manifest(lambda path: path.symlink_to(path)),
    "manifest: a pipe": _in_place_of_the_manifest(os.mkfifo),
}
"""Of the manifest."""

EVERY: dict[str, Damage] = OF_FILES | OF_MANIFESTS

HARMLESS: dict[str, Damage] = {
    ".DS_Store": lambda folder: (folder / ".DS_Store").write_bytes(b"\0" * 6148),
    ".nfs": lambda folder: (folder / ".nfs000000000a1b").write_bytes(b"abc"),
    "Thumbs.db": lambda folder: (folder / "Thumbs.db").write_bytes(b"abc"),
    "a hidden folder": lambda folder: (folder / ".ipynb_checkpoints" / "x").mkdir(parents=True),
    "touched": lambda folder: os.utime(_largest(folder)),
    "copied": _copied,
}
"""What does not change an artefact."""
