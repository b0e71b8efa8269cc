"""Odd configs: hostile values for every option, and words for the command line. Importable."""

import copy
import dataclasses
import functools
import random
import typing
from collections.abc import Iterator
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rnnscope.config import CONF, KINDS, Config, load
from rnnscope.config.mistakes import one_line

VALUES = (
    *("{a:1}", "{}", "[]", "[[1]]", "[{a:1}]", "[1,1]", "[a,a]", "[null]", "[1,a]", "[nan]"),
    *("null", "true", "false", "True", "nan", "inf", "-inf", "-1", "0", "-0.0", "1", "2.5", "1.0"),
    *("1e3", "1e23", "1e999", "1e-320", "1e23-1", "100000000000000000000", "1_000", "0x10", "010"),
    *("0b1", "1j", "+5", "१२", "１", "٣", "Ⅷ", "lstm", "''", "' '", "'\t'", "'a\tb'", "'1_0'"),
    *("'a\x00b'", "'a\nb'", "'\x1b[31mred'", "'\ud800'", "'\u202eabc'", "x" * 5_000, "9" * 5_000),
    *("[" + ",".join(map(str, range(200))) + "]", "[" + ",".join(["h"] * 200) + "]"),
    *("???", "'???'", "${seed}", "${nope}", "${a.b.c}", "${oc.env:HOME}", "${oc.env:NO_SUCH}"),
    *("${oc.env:NO_SUCH,5}", "${oc.decode:'[1'}", "${oc.decode:'5'}", "${hydra:job.num}"),
    *("${now:%S}", "${outputs:}", "${conf:x}", "${train}", "${data.path}", "${.name}", "${..seed}"),
    *("${oc.select:nope}", "${oc.create:{a:1}}", "${oc.dict.keys:train}", "${seed}${seed}"),
    *(
        "[${seed},1]",
        "[${nope}]",
        "{a:${nope}}",
        "${${seed}}",
        "${nope:1}",
        "${oc.deprecated:seed}",
    ),
    *("all", "last", "-:", ":", "5:2", "::0", "0:10:", "1:2:3:4", "h", "[h,cc]", "h_zero"),
    *("<script>", "../../etc", "/dev/zero", "a;rm -rf b", "$(id)", "%s", "{{7*7}}", "=cmd", "@sum"),
    *("2024-01-01", "12:30", "1.5.2", "cast", "int(5)", "str(5)", "json_str({a:1})"),
)
"""What may stand behind ``key=``, as Hydra's grammar has it; some of it cannot be parsed."""

WORDS = (
    *("seed.x=1", "train.steps.x=1", "+new=1", "++new=1", "+train.new=1", "+seed=1", "++seed=1"),
    *("~data", "~seed", "~train.steps", "~data.name", "~hydra", "data@model=digits", "~nope"),
    *("+data@nope=digits", "+data@model=digits", "defaults=[]", "+defaults=[a]", "experiment=null"),
    *("experiment=nope", "experiment=[]", "experiment=[seed,widths]", "experiment=../seed"),
    *("model=null", "model=[lstm,gru]", "model={name:lstm}", "model=3", "train=null", "train={}"),
    *("data.name=files", "model.name=gru", "engine.name=dask", "model.name=null", "data=files"),
    *("hydra.verbose={a:1}", "hydra.mode=nope", "hydra.run.dir=null", "hydra.job.chdir=maybe"),
    *("seed=1,2", "extract.layers=a,b", "seed", "=1", "seed=[1", "seed={a", "seed='", "a b", ""),
    *("seed=1 seed=2", "seed=range(3)", "seed=glob(*)", "seed=interval(0,1)", "seed=choice()"),
    *("hydra/launcher=nope", "hydra/sweeper=nope", "hydra/job_logging=nope", "hydra.nope=1"),
    *(
        "units=32",
        "data=3",
        "+units.null=1",
        "++data=null",
        "seed=${train.steps}",
        "train=${units}",
    ),
    *(
        "+1=2",
        "+true=1",
        "++null=1",
        "+null=null",
        "train.1=2",
        "a.b.c.d=1",
        "units..lags=1",
        ".=1",
    ),
)
"""Whole words of the command line."""

BASES = tuple(
    (f"data={data}", f"model={model}", f"engine={engine}")
    for data, model, engine in (
        ("digits", "lstm", "local"),
        ("files", "gru", "dask"),
        ("mnist", "file", "dask_slurm"),
        ("files", "tf1_checkpoint", "local"),
        ("anbn", "lstm", "local"),
        ("dyck", "lstm", "local"),
        ("flipflop", "lstm", "local"),
        ("ar1", "lstm", "local"),
        ("delay", "lstm", "local"),
        ("lagged", "lstm", "local"),
        ("text", "lstm", "local"),
    )
)
"""Choices that together have every option."""


def keys(base: tuple[str, ...]) -> list[str]:
    """The dotted names of all options of a composition."""
    kinds = dict(word.split("=") for word in base)
    found = []
    for name, hint in typing.get_type_hints(Config).items():
        kind: Any = KINDS[name][kinds[name]] if name in kinds else hint
        if dataclasses.is_dataclass(kind):
            found += [f"{name}.{field.name}" for field in dataclasses.fields(kind)]
        else:
            found.append(name)
    return found


def configs(seed: int, count: int) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Odd configs, drawn at random: the choices of groups, and one to three overrides."""
    drawn = random.Random(seed)
    for _ in range(count):
        base = drawn.choice(BASES)
        names = drawn.sample(keys(base), drawn.choice((1, 1, 1, 2, 3)))
        yield base, [f"{name}={drawn.choice(VALUES)}" for name in names]


@functools.cache
def _composed(words: tuple[str, ...]) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose("config", ["root=outputs", *words])
    OmegaConf.set_struct(composed, False)
    return composed


def overridden(base: tuple[str, ...], words: list[str]) -> DictConfig:
    """What Hydra makes of these overrides, in a thousandth of the time of composing anew."""
    paths = [f"{name}=some/file" for name in keys(base) if name in ("data.path", "model.path")]
    paths += ["engine.address=tcp://127.0.0.1:8786"] if "engine=dask" in base else []
    raw = copy.deepcopy(_composed((*base, *paths)))
    for override in OverridesParser.create().parse_overrides(words):
        OmegaConf.update(raw, override.key_or_group, override.value(), merge=True)
    return raw


def outcome(base: tuple[str, ...], words: list[str], *, whole: bool = False) -> Config | str:
    """The checked config of odd words, or the line that refuses them; any other error is raised.

    Args:
        base: the choices of groups.
        words: the overrides.
        whole: whether Hydra composes everything anew, which takes a tenth of a second.
    """
    try:
        if not whole:
            return load(overridden(base, words))
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return load(hydra.compose("config", ["root=outputs", *base, *words]))
    except Exception as error:
        line = one_line(error, words)
        if line is None:
            raise
        return line
