"""The reference of all options, conf/README.md: from the schema and the values in conf/."""

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rnnscope.config.loading import KINDS
from rnnscope.config.location import CONF
from rnnscope.config.options import allowed, spelled
from rnnscope.config.whole import Config

INTRODUCTION = """\
# Options

All values are in the files of this folder, which [Hydra](https://hydra.cc) composes into one
config; the meaning and the range of each are below. A misspelt option, a wrong type or a value out
of range is refused before anything runs.

**Override** any option by its dotted name, and choose another file of a group by the file's name:

```
rnnscope model.units=128 train.steps=2000 train.patience=null
rnnscope model=gru data=mnist data.path=mnist.npz
rnnscope "extract.signals=[h,c]" extract.timesteps=0:10
rnnscope model=gru --cfg job                 the config that this would run with
```

**Your own experiments** are files that override several options at once. They need not be in this
folder: a file `mine/experiment/wide.yaml` such as

```yaml
# @package _global_
defaults:
  - override /model: gru

model:
  units: 256
```

runs with `rnnscope --config-dir mine experiment=wide`, or with
`rnnscope hydra.searchpath=[file://mine] experiment=wide`, which takes several folders. Any group
can be extended in the same way, such as `mine/engine/ours.yaml` for `engine=ours`.

**Paths** are relative to the working folder. Keys use the content of files, not their paths: moving
a file makes nothing stale, changing it does.

Lists are written `[a,b]`, no value `null`. In the tables, *required* marks an option without a
default.
"""


def options() -> str:
    """The reference of all options, in Markdown."""
    sections = [INTRODUCTION, *_top_level(), *_groups(), *_of_hydra()]
    return "\n".join(section.strip("\n") + "\n" for section in sections)


def meanings(schema: type) -> dict[str, str]:
    """Option -> the text under its field, of a dataclass and of those that it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(schema.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in itertools.pairwise(definition.body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = _one_line(text)
    return found


def _top_level() -> Iterator[str]:
    """The options outside all groups."""
    yield f"## The run\n\nDefaults: {_link('config.yaml')}."
    groups = {name for name, kind in typing.get_type_hints(Config).items() if _is_group(kind)}
    yield _table("", Config, {"": _values(CONF / "config.yaml")}, leave_out=groups)


def _groups() -> Iterator[str]:
    """A section for each group, with a table for each schema in it."""
    for group, kind in typing.get_type_hints(Config).items():
        if group in KINDS:
            text = f"One of `{group}={f'`, `{group}='.join(KINDS[group])}`."
            yield f"## {group}\n\n{text}"
            for schema in dict.fromkeys(KINDS[group].values()):
                names = [name for name, each in KINDS[group].items() if each is schema]
                files = {name: f"{group}/{name}.yaml" for name in names}
                title = ", ".join(f"{group}={name}" for name in names)
                yield f"### {title}\n\n{_about(schema, list(files.values()))}"
                yield _table(group, schema, {n: _values(CONF / f) for n, f in files.items()})
        elif _is_group(kind):
            file = f"analysis/{group}.yaml"
            if not (CONF / file).is_file():
                file = f"{group}/default.yaml"
            yield f"## {group}\n\n{_about(kind, [file])}"
            yield _table(group, kind, {"": _values(CONF / file)})


def _of_hydra() -> Iterator[str]:
    """The groups that are Hydra's own, each with its files."""
    yield "## Experiments and launchers\n\nThese groups override options of the others, or Hydra's."
    lines = ["| choice | file | purpose |", "|---|---|---|"]
    for group in ("experiment", "hydra/launcher"):
        for path in sorted((CONF / group).glob("*.yaml")):
            file = path.relative_to(CONF).as_posix()
            comments = (line.removeprefix("#").strip() for line in path.read_text().splitlines())
            purpose = next(line for line in comments if not line.startswith("@package"))
            lines.append(f"| `{group}={path.stem}` | {_link(file)} | {_literal(purpose)} |")
    yield "\n".join(lines)


def _is_group(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _values(path: Path) -> dict[str, Any]:
    """The values in a file of conf/, as they are written there."""
    values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return values


def _about(schema: type, files: list[str]) -> str:
    """What a group is for, and where its defaults are."""
    paragraphs = (inspect.getdoc(schema) or "").split("\n\n")
    about = "\n\n".join(_literal(_one_line(each)) for each in paragraphs)
    return f"{about} Defaults: {', '.join(map(_link, files))}."


def _table(
    group: str,
    schema: Any,
    values: dict[str, dict[str, Any]],
    leave_out: typing.Container[str] = (),
) -> str:
    """The options of a schema; ``values`` has its defaults by choice."""
    hints, texts = typing.get_type_hints(schema), meanings(schema)
    lines = ["| option | default | allowed | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(schema):
        if field.name in leave_out:
            continue
        option = f"{group}.{field.name}" if group else field.name
        given = {choice: _default(each[field.name]) for choice, each in values.items()}
        default = next(iter(given.values()))
        if len(set(given.values())) > 1:
            default = ", ".join(f"{text} ({choice})" for choice, text in given.items())
        takes = allowed(field, hints[field.name])
        if field.name == "name":
            takes = f"one of {', '.join(KINDS[group])}"
        cells = [f"`{option}`", default, _literal(takes), _literal(texts[field.name])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    return "*required*" if value == "???" else f"`{spelled(value)}`".replace("|", r"\|")


def _link(file: str) -> str:
    return f"[{file}]({file})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _literal(text: str) -> str:
    """A text in which no character is Markdown."""
    return re.sub(r"([\\|*<>`])", r"\\\1", text)
