"""Stage decoding, from states on disk to one row per layer, signal, train and test timestep."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from rnnscope import stages, states
from rnnscope.analysis.decoding import gathering, probe
from rnnscope.config import Decoding
from rnnscope.errors import UserError
from tests.compose import analysed, composed
from tests.recordings import Recording, drawn, write

OPTIONS = Decoding(
    layers=None,
    signals=None,
    together=True,
    timesteps="all",
    max_timesteps=28,
    generalise=True,
    folds=4,
    max_sequences=None,
    penalty=1.0,
    seed=0,
    memory_lags=None,
)
KEYS = ["layer", "signal", "train_timestep", "test_timestep"]
NUMBERS = [
    "score",
    "score_low",
    "score_high",
    "balanced_score",
    "chance",
    "above_chance",
    "above_chance_low",
    "above_chance_high",
]
SHUFFLED = ["shuffled", "shuffled_low", "shuffled_high", "p_value"]

Tables = tuple[pd.DataFrame, pd.DataFrame]
Figures = dict[str, Any]


def decoded(
    folder: Path, recorded: Path, options: Decoding = OPTIONS, workers: int = 1
) -> tuple[Tables, Figures]:
    """Both tables that the stage writes, and its figures."""
    figures = analysed("decoding", options, recorded, folder, workers)
    json.dumps(figures, allow_nan=False)
    tables = [
        pd.read_parquet(folder / name) for name in ("decoding.parquet", "decoding_units.parquet")
    ]
    return (tables[0], tables[1]), figures


def measured(
    folder: Path, recording: Recording, options: Decoding = OPTIONS, **laid: Any
) -> tuple[pd.DataFrame, Figures]:
    """The larger table, and the figures."""
    folder.mkdir(exist_ok=True)
    recorded = write(folder / f"states{len(list(folder.iterdir()))}", recording, **laid)
    tables, figures = decoded(folder, recorded, options)
    return tables[0], figures


def noise(
    seed: int = 0, n: int = 120, t: int = 3, u: int = 5, signals: str = "hc", k: int = 2
) -> Recording:
    """States that know nothing of the class; sequences equally long, classes equally frequent."""
    random = np.random.default_rng(seed)
    made = {each: random.normal(size=(n, t, u)).astype(np.float32) for each in signals}
    labels = random.permutation(np.arange(n) % k).astype(np.int32)
    return Recording({"lstm": made}, np.full(n, t), labels, k)


def labelled(folder: Path, labels: NDArray[np.int32]) -> Path:
    """Give each timestep a class of its own [N, T]."""
    for path in folder.glob("*/*/part-*.parquet"):
        rows, values = states.read_part(path)
        own = states.RowKeys(rows.sequence, rows.timestep, labels[rows.sequence, rows.timestep])
        states.write_part(path, path.parent.name, values, own, "lz4")
    return folder


def aimed(folder: Path, target: NDArray[np.floating]) -> Path:
    """Give each sequence a target [N], or each timestep [N, T]."""
    path = folder / states.SEQUENCES
    sequences = pd.read_parquet(path)
    if target.ndim == 1:
        sequences.assign(target=target).to_parquet(path, index=False)
        return folder
    lengths = sequences["length"].to_numpy()
    rows = states.row_keys(0, lengths, None)
    steps = {"sequence": rows.sequence, "timestep": rows.timestep}
    frame = pd.DataFrame(steps | {"target": target[rows.sequence, rows.timestep]})
    frame.to_parquet(folder / states.STEPS, index=False)
    return folder


def fold_of(sequences: pd.DataFrame, options: Decoding) -> NDArray[np.intp]:
    """The fold of each sequence [N], each a source of its own; -1 for one that is not drawn."""
    drawn_ones = gathering.drawn(sequences, np.arange(len(sequences)), options)
    fold = np.full(len(sequences), -1)
    fold[drawn_ones["sequence"]] = drawn_ones["fold"]
    return fold


def same_time(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are scored at the timestep that they learnt at."""
    return table[table["train_timestep"] == table["test_timestep"]]


def of(table: pd.DataFrame, signal: str) -> pd.DataFrame:
    return same_time(table[table["signal"] == signal]).set_index("test_timestep")


# form


def test_there_is_one_row_per_layer_signal_and_pair_of_timesteps(tmp_path: Path) -> None:
    recording = noise(signals="hcif")
    recording.signals["second"] = noise(1, u=2, signals="h").signals["lstm"]
    recorded = write(tmp_path / "states", recording)
    (table, by_units), figures = decoded(tmp_path, recorded)
    pairs = [("lstm", "h"), ("lstm", "c"), ("lstm", "h+c"), ("second", "h")]
    expected = [(*pair, a, b) for pair in pairs for a in range(3) for b in range(3)]
    assert list(table[KEYS].astype(object).itertuples(index=False, name=None)) == expected
    assert table["features"].tolist() == [5] * 18 + [10] * 9 + [2] * 9
    few = by_units[["layer", "signal", "timestep", "units"]].astype(object)
    counts = [[1, 2, 4, 5], [1, 2, 4, 5], [1, 2, 4, 8, 10], [1, 2]]
    assert list(few.itertuples(index=False, name=None)) == [
        (*pair, 2, count) for pair, each in zip(pairs, counts, strict=True) for count in each
    ]
    assert figures["rows"] == figures["headline"]["rows"] == 36
    assert figures["why"] == {}
    assert figures["unconverged"] == 0
    assert figures["layers"]["second"]["timesteps"] == [0, 1, 2]
    final = table["shuffled"].notna()
    best = table.loc[table[final]["above_chance"].idxmax()]
    assert figures["headline"] == {
        "rows": 36,
        "best score": best["score"],
        "chance there": best["chance"],
        "where": f"{best['layer']}/{best['signal']} at the final step",
    }
    assert final.sum() == 4
    assert (table[final][["train_timestep", "test_timestep"]] == 2).all(axis=None)
    last = of(table, "h+c").loc[2]
    names = ("score", "chance", "shuffled", "p_value")
    assert figures["at_final_step"]["lstm/h+c"] == {name: last[name] for name in names}
    assert figures["null"]["decoding"] == {name: {"not at the final step": 32} for name in SHUFFLED}


def test_the_columns_have_their_types_with_rows_and_without(tmp_path: Path) -> None:
    types = dict.fromkeys(["layer", "signal", "target", "task"], "category") | dict.fromkeys(
        NUMBERS, "float64"
    )
    whole = types | dict.fromkeys(
        ["train_timestep", "test_timestep", "sequences", "features"], "int32"
    )
    whole |= dict.fromkeys(SHUFFLED, "float64")
    few = types | dict.fromkeys(["timestep", "units", "sequences"], "int32")
    for name, recording in (("full", noise()), ("bare", replace(noise(), labels=None))):
        tables, figures = decoded(tmp_path, write(tmp_path / name, recording))
        for table, expected in zip(tables, (whole, few), strict=True):
            assert table.dtypes.astype(str).to_dict() == expected
            assert len(table) == (0 if name == "bare" else len(table))
        if name == "bare":
            assert figures["why"] == {"lstm": "no labels and no targets"}
            assert figures["headline"] == {"rows": 0}
        else:
            assert all((table["target"] == "label").all() for table in tables)


def test_the_difference_from_chance_is_paired_over_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    score = random.normal(0.7, 0.1, (4, 3))
    chance = score - 0.5 + random.normal(0, 0.01, (4, 3))
    scores = probe.Scores(score, score / 2, chance, 0)
    monkeypatch.setattr(probe, "held_out", lambda *_: scores)
    table, _ = measured(tmp_path, noise(signals="c"))
    paired = scipy.stats.ttest_rel(score, chance)
    wider = np.sqrt(1 + 4 / 3)
    half = (paired.confidence_interval(0.95).high - (score - chance).mean(axis=0)) * wider
    found = table[table["train_timestep"] == 0]
    np.testing.assert_allclose(found["score"], score.mean(axis=0))
    np.testing.assert_allclose(found["balanced_score"], score.mean(axis=0) / 2)
    np.testing.assert_allclose(found["chance"], chance.mean(axis=0))
    np.testing.assert_allclose(found["above_chance"], (score - chance).mean(axis=0))
    np.testing.assert_allclose(found["above_chance_high"] - found["above_chance"], half)
    np.testing.assert_allclose(found["above_chance"] - found["above_chance_low"], half)


# what is found


def test_what_c_knows_and_h_hides_is_read_from_c_alone(tmp_path: Path) -> None:
    recording = noise(n=200, t=4)
    assert recording.labels is not None
    recording.signals["lstm"]["c"][:, 2:, :2] += 3 * recording.labels[:, np.newaxis, np.newaxis]
    table, figures = measured(tmp_path, recording)
    h, c, both = (of(table, signal) for signal in ("h", "c", "h+c"))
    assert (h["score"] < 0.65).all()
    assert (h["above_chance_low"] < 0.1).all()
    for found in (c, both):
        assert (found["score"][:2] < 0.65).all()
        assert (found["score"][2:] > 0.93).all()
        assert (found["above_chance_low"][2:] > 0.2).all()
        assert found["shuffled_high"][3] < 0.65
        assert found["p_value"][3] == 1 / 21
    assert figures["at_final_step"]["lstm/c"]["score"] > 0.93
    assert figures["headline"]["where"] in (
        f"lstm/{name} at the final step" for name in ("c", "h+c")
    )


def test_a_code_that_stays_generalises_over_time_and_one_that_turns_does_not(
    tmp_path: Path,
) -> None:
    recording = noise(n=240, t=4, u=4, signals="hc")
    assert recording.labels is not None
    sign = 2.0 * recording.labels - 1
    for timestep in range(4):
        recording.signals["lstm"]["h"][:, timestep, 0] += 3 * sign
        recording.signals["lstm"]["c"][:, timestep, timestep] += 3 * sign
    table, _ = measured(tmp_path, recording)
    elsewhere = table["train_timestep"] != table["test_timestep"]
    stays, turns = table["signal"] == "h", table["signal"] == "c"
    assert (table[~elsewhere]["score"] > 0.98).all()
    assert (table[elsewhere & stays]["score"] > 0.98).all()
    assert (table[elsewhere & turns]["score"] < 0.7).all()
    assert table[elsewhere & turns]["score"].mean() == pytest.approx(0.5, abs=0.07)
    assert (table["chance"] == 0.5).all()


def test_what_is_known_of_a_sequence_alone_is_known_of_it_at_no_timestep(tmp_path: Path) -> None:
    recording = noise(n=80, u=80, signals="c")
    marks = np.eye(80, dtype=np.float32)[:, np.newaxis]
    recording.signals["lstm"]["c"] = np.repeat(marks, 3, axis=1)
    table, _ = measured(tmp_path, recording)
    assert table["score"].max() < 0.65


@pytest.mark.slow
def test_above_chance_holds_zero_in_its_interval_on_shuffled_labels(tmp_path: Path) -> None:
    recording = noise(n=150, t=1, u=2, signals="c", k=3)
    assert recording.labels is not None
    recording.signals["lstm"]["c"][..., 0] += recording.labels[:, np.newaxis]
    held, found, p = 0, [], []
    for seed in range(40):
        shuffled = np.random.default_rng(seed).permutation(recording.labels)
        table, _ = measured(tmp_path / str(seed), replace(recording, labels=shuffled))
        row = table.iloc[0]
        held += row["above_chance_low"] <= 0 <= row["above_chance_high"]
        found.append(row["above_chance"])
        p.append(row["p_value"])
    assert held / 40 >= 0.93
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(40)
    assert np.mean(p) == pytest.approx(0.5, abs=3 * 0.29 / np.sqrt(40))


def test_it_scores_as_scikit_learn_does_on_the_same_folds(tmp_path: Path) -> None:
    recording = drawn(n=90, t=3)
    recorded = write(tmp_path / "states", recording, parts=2)
    (table, _), _ = decoded(tmp_path, recorded, replace(OPTIONS, penalty=20))
    sequences = states.read_sequences(recorded)
    fold = fold_of(sequences, OPTIONS)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / 20, tol=1e-6, max_iter=9000))
    constant = DummyClassifier(strategy="most_frequent")
    assert recording.labels is not None
    for timestep in range(3):
        here = recording.lengths > timestep
        x = [recording.signals["lstm"][signal][here, timestep] for signal in "hc"]
        for signal, values in (("h", x[0]), ("c", x[1]), ("h+c", np.hstack(x))):
            with threadpool_limits(1):
                split = PredefinedSplit(fold[here])
                given = (values, recording.labels[here])
                scores = cross_val_score(model, *given, cv=split)
                balanced = cross_val_score(model, *given, cv=split, scoring="balanced_accuracy")
                chance = cross_val_score(constant, *given, cv=split)
            row = of(table, signal).loc[timestep]
            assert row["score"] == pytest.approx(scores.mean())
            assert row["balanced_score"] == pytest.approx(balanced.mean())
            assert row["chance"] == pytest.approx(chance.mean())
            assert row["above_chance"] == pytest.approx(scores.mean() - chance.mean())
            low, high = (float(each) for each in probe.interval(scores)[1:])
            assert [row["score_low"], row["score_high"]] == pytest.approx([low, high])
            assert row["sequences"] == here.sum()


def test_as_many_units_are_needed_as_carry_the_class(tmp_path: Path) -> None:
    recording = noise(n=300, t=2, u=6, signals="c", k=4)
    assert recording.labels is not None
    bits = np.stack([recording.labels % 2, recording.labels // 2], axis=1)
    recording.signals["lstm"]["c"][:, 1, [2, 5]] += 8 * bits
    (_, by_units), _ = decoded(tmp_path, write(tmp_path / "states", recording))
    scores = by_units.set_index("units")["score"]
    assert scores[1] == pytest.approx(0.5, abs=0.05)
    assert (scores[[2, 4, 6]] > 0.98).all()
    assert by_units["chance"].between(0.2, 0.25).all()
    assert (by_units["sequences"] == 300).all()


# independence of how it is run


@pytest.mark.slow
@pytest.mark.parametrize(("parts", "seed", "workers"), [(2, 0, 1), (7, 1, 3), (60, 2, 2)])
def test_parts_their_order_and_the_number_of_workers_do_not_change_the_tables(
    parts: int, seed: int, workers: int, tmp_path: Path
) -> None:
    recording = drawn(n=60)
    options = replace(OPTIONS, max_sequences=50)
    expected, said = decoded(tmp_path, write(tmp_path / "whole", recording), options)
    recorded = write(tmp_path / "parts", recording, parts=parts, seed=seed)
    got, figures = decoded(tmp_path, recorded, options, workers)
    for one, other in zip(got, expected, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert figures == said


def test_other_signals_and_layers_do_not_change_a_row(tmp_path: Path) -> None:
    recording = drawn(n=60)
    recording.signals["second"] = drawn(1, n=60, u=2, signals="ch").signals["lstm"]
    recorded = write(tmp_path / "states", recording)
    (whole, _), _ = decoded(tmp_path, recorded)
    options = replace(OPTIONS, layers=["second"], signals=["c"])
    (alone, _), _ = decoded(tmp_path, recorded, options)
    there = whole[(whole["layer"] == "second") & (whole["signal"] == "c")]
    np.testing.assert_array_equal(alone[NUMBERS], there[NUMBERS])


@pytest.mark.slow
def test_a_seed_gives_the_same_table_and_another_gives_another(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(n=60))
    (one, _), (same, _), (other, _) = (
        decoded(tmp_path, recorded, replace(OPTIONS, max_sequences=40, seed=seed))[0]
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(one, same, check_exact=True)
    assert not one["score"].equals(other["score"])


def test_the_order_of_units_does_not_matter(tmp_path: Path) -> None:
    recording = drawn(n=90, signals="c")
    expected, _ = measured(tmp_path / "one", recording)
    recording.signals["lstm"]["c"] = recording.signals["lstm"]["c"][..., ::-1]
    got, _ = measured(tmp_path / "other", recording)
    np.testing.assert_allclose(got[NUMBERS], expected[NUMBERS], atol=1e-9)


# options


def test_the_states_are_read_out_unless_signals_are_named(tmp_path: Path) -> None:
    def signals(recording: Recording, **options: Any) -> list[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        table, _ = measured(folder, recording, replace(OPTIONS, **options))
        return table["signal"].cat.categories.tolist()

    lstm, gru = noise(t=1, signals="ocfh"), noise(t=1, signals="zrh")
    own = noise(t=1, signals="xy")
    own.signals["lstm"] = dict(zip(("s1", "s0"), own.signals["lstm"].values(), strict=True))
    assert signals(lstm) == ["h", "c", "h+c"]
    assert signals(lstm, together=False) == ["h", "c"]
    assert signals(lstm, signals=["f", "o", "h"]) == ["h", "f", "o", "h+f+o"]
    assert signals(gru) == ["h"]
    assert signals(own) == ["s0", "s1", "s0+s1"]


def test_a_layer_without_states_says_so(tmp_path: Path) -> None:
    table, figures = measured(tmp_path, noise(signals="if"))
    assert len(table) == 0
    assert "decoding.signals" in figures["why"]["lstm"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"signals": ["q"]}, "decoding.signals"),
        ({"layers": ["gru"]}, "decoding.layers"),
        ({"timesteps": "5:9"}, "decoding.timesteps=5:9: .* 'lstm'; its last is 2"),
    ],
)
def test_what_was_not_recorded_is_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        measured(tmp_path, noise(), replace(OPTIONS, **options))


def test_only_the_timesteps_asked_for_are_read_out(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", noise(t=9, signals="c"))

    def timesteps(**options: Any) -> list[int]:
        (table, _), figures = decoded(tmp_path, recorded, replace(OPTIONS, **options))
        found = table["train_timestep"].unique().tolist()
        assert table["test_timestep"].unique().tolist() == found
        assert figures["layers"]["lstm"]["timesteps"] == found
        return found

    assert timesteps(timesteps="::3") == [0, 3, 6]
    assert timesteps(max_timesteps=3) == [0, 4, 8]
    assert timesteps(timesteps="2:8", max_timesteps=2) == [2, 7]
    assert timesteps(max_timesteps=1) == [8]


def test_without_generalisation_there_is_the_diagonal_alone(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(n=60))
    (whole, _), _ = decoded(tmp_path, recorded)
    (alone, _), _ = decoded(tmp_path, recorded, replace(OPTIONS, generalise=False))
    expected = same_time(whole).reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def test_so_many_sequences_are_drawn_and_the_same_at_all_timesteps(tmp_path: Path) -> None:
    sequences = pd.DataFrame({"sequence": range(100), "length": 3, "label": np.arange(100) % 2})
    fold = fold_of(sequences, replace(OPTIONS, max_sequences=40))
    assert (fold >= 0).sum() == 40
    assert (fold[:40] < 0).any()
    table, figures = measured(tmp_path, noise(n=100), replace(OPTIONS, max_sequences=40))
    assert (table["sequences"] == 40).all()
    assert figures["layers"]["lstm"]["sequences"] == 40


# data of all kinds


def test_only_sequences_that_reach_a_timestep_take_part_there(tmp_path: Path) -> None:
    recording = noise(n=120, t=6)
    recording.lengths = np.repeat([2, 4, 5, 6], [40, 40, 33, 7])
    table, figures = measured(tmp_path, recording)
    reach = {0: 120, 1: 120, 2: 80, 3: 80, 4: 40}
    reach |= {gathering.LAST: 120}
    expected = table["test_timestep"].map(reach)
    assert table["sequences"].tolist() == expected.tolist()
    assert set(table["train_timestep"]) == set(reach)
    ends = table["train_timestep"] == gathering.LAST
    assert (ends == (table["test_timestep"] == gathering.LAST)).all()
    assert (table["shuffled"].notna() == ends).all()
    assert table[NUMBERS].notna().all(axis=None)
    assert figures["layers"]["lstm"]["timesteps_left_out"] == 1  # 7 are too few for 4 folds


def test_last_is_each_sequence_at_its_own_last_timestep(tmp_path: Path) -> None:
    recording = noise(n=150, t=6, signals="c")
    recording.lengths = np.random.default_rng(0).integers(1, 7, 150)
    assert recording.labels is not None
    last = (np.arange(150), recording.lengths - 1)
    recording.signals["lstm"]["c"][..., 1] = -9 * recording.labels[:, np.newaxis]
    recording.signals["lstm"]["c"][(*last, 1)] = 0
    recording.signals["lstm"]["c"][(*last, 0)] += 5 * recording.labels
    (table, by_units), figures = decoded(
        tmp_path, write(tmp_path / "states", recording, parts=3), replace(OPTIONS, timesteps="last")
    )
    assert table[["train_timestep", "test_timestep", "sequences"]].to_numpy().tolist() == [
        [-1, -1, 150]
    ]
    assert table["score"][0] > 0.95
    assert (by_units["timestep"] == -1).all()
    assert figures["layers"]["lstm"]["timesteps"] == [-1]


def test_the_best_units_are_read_at_each_sequences_own_last_timestep(tmp_path: Path) -> None:
    recording = noise(n=150, t=12, u=4, signals="c")
    recording.lengths = np.random.default_rng(0).integers(1, 6, 150)
    recording.lengths[:12] = 12  # a handful that any timestep from 5 on would be left to
    assert recording.labels is not None
    last = (np.arange(150), recording.lengths - 1)
    recording.signals["lstm"]["c"][(*last, 1)] += 6 * recording.labels
    recorded = write(tmp_path / "states", recording, parts=3)
    (table, by_units), figures = decoded(tmp_path, recorded)
    assert table["test_timestep"].max() == 11
    assert (by_units["timestep"] == gathering.LAST).all()
    assert (by_units["sequences"] == 150).all()
    assert (by_units["score"] > 0.95).all()
    (alone, few), said = decoded(tmp_path, recorded, replace(OPTIONS, timesteps="last"))
    pd.testing.assert_frame_equal(by_units, few, check_exact=True)
    assert figures["at_final_step"] == said["at_final_step"]
    assert said["at_final_step"]["lstm/c"]["score"] == alone["score"][0]
    own = table[table["train_timestep"] == gathering.LAST].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone, check_exact=True)
    assert figures["headline"]["where"] == "lstm/c at the final step"


def test_where_only_last_timesteps_have_sequences_enough_the_units_are_read_all_the_same(
    tmp_path: Path,
) -> None:
    recording = noise(n=20, t=20, signals="c")
    recording.lengths = np.arange(1, 21)
    labels = np.ones((20, 20), np.int32)  # at no timestep more than one sequence has another
    labels[np.arange(20), recording.lengths - 1] = np.arange(20) % 2
    recording = replace(recording, labels=labels)
    (table, by_units), figures = decoded(tmp_path, write(tmp_path / "states", recording))
    assert table["train_timestep"].tolist() == [gathering.LAST]
    assert by_units["units"].tolist() == [1, 2, 4, 5]
    assert (by_units["timestep"] == gathering.LAST).all()
    assert (by_units["sequences"] == 20).all()
    assert figures["why"] == {}
    assert "4 folds" in figures["layers"]["lstm"]["why_at_final_step_alone"]


def test_where_last_timesteps_tell_nothing_apart_the_figures_say_so(tmp_path: Path) -> None:
    recording = noise(n=60, t=3, signals="c")
    assert recording.labels is not None
    labels = np.tile(recording.labels[:, np.newaxis], 3)
    labels[:, 2] = 0  # as the depth of brackets is in the end
    recorded = write(tmp_path / "states", replace(recording, labels=labels))
    (table, by_units), figures = decoded(tmp_path, recorded)
    assert table["test_timestep"].max() == 1
    assert len(by_units) == 0
    assert figures["at_final_step"] == {}
    assert figures["why"] == {}
    assert "4 folds" in figures["layers"]["lstm"]["why_not_at_final_step"]


def test_of_a_slice_the_units_are_read_at_its_last_timestep_of_each_sequence(
    tmp_path: Path,
) -> None:
    recording = noise(n=120, t=6, signals="c")
    recorded = write(tmp_path / "whole", recording)
    (_, by_units), _ = decoded(tmp_path, recorded, replace(OPTIONS, timesteps="0:4"))
    assert (by_units["timestep"] == 3).all()
    recording.lengths = np.repeat([2, 6], 60)
    recorded = write(tmp_path / "ragged", recording)
    (_, by_units), _ = decoded(tmp_path, recorded, replace(OPTIONS, timesteps="0:4"))
    assert (by_units["timestep"] == gathering.LAST).all()
    assert (by_units["sequences"] == 120).all()


def test_a_recording_of_last_timesteps_alone_can_be_read_out(tmp_path: Path) -> None:
    recording = drawn(n=90)
    folder = write(tmp_path / "states", recording)
    for path in folder.glob("*/*/part-*.parquet"):
        rows, values = states.read_part(path)
        assert rows.label is not None
        end = rows.final
        kept = states.RowKeys(rows.sequence[end], rows.timestep[end], rows.label[end])
        states.write_part(path, path.parent.name, values[:, rows.final], kept, "lz4")
    (table, _), _ = decoded(tmp_path, folder, replace(OPTIONS, timesteps="last"))
    assert (table["sequences"] == 90).all()


def test_classes_of_single_timesteps_are_read_at_their_own(tmp_path: Path) -> None:
    recording = noise(n=150, t=4, signals="c", k=3)
    recording.lengths = np.random.default_rng(0).integers(2, 5, 150)
    labels = np.random.default_rng(1).integers(0, 3, (150, 4)).astype(np.int32)
    recording.signals["lstm"]["c"][..., :3] += 5 * np.eye(3)[labels]
    folder = labelled(write(tmp_path / "states", replace(recording, labels=None), parts=3), labels)
    (table, _), _ = decoded(tmp_path, folder)
    assert (table["score"] > 0.9).all()
    assert (table["chance"] < 0.5).all()


def test_a_class_or_a_timestep_of_single_timesteps_that_is_too_rare_is_left_out(
    tmp_path: Path,
) -> None:
    recording = noise(n=60, t=3, signals="c")
    labels = np.tile(np.arange(60)[:, np.newaxis] % 2, 3).astype(np.int32)
    labels[5, 0] = 7  # once
    labels[:, 1] = 1  # no other
    folder = labelled(write(tmp_path / "states", replace(recording, labels=None)), labels)
    (table, _), figures = decoded(tmp_path, folder)
    assert of(table, "c")["sequences"].to_dict() == {0: 59, 2: 60}
    said = figures["layers"]["lstm"]
    assert [said["rows_left_out"], said["timesteps_left_out"]] == [1, 1]


def test_a_class_seen_once_is_left_out_and_counted(tmp_path: Path) -> None:
    recording = noise(n=61)
    assert recording.labels is not None
    recording.labels[17] = 2
    table, figures = measured(tmp_path, recording)
    assert (table["sequences"] == 60).all()
    assert figures["layers"]["lstm"]["rows_left_out"] == 3
    twice = recording.labels.copy()
    twice[18] = 2
    table, figures = measured(tmp_path, replace(recording, labels=twice))
    assert (table["sequences"] == 61).all()
    assert figures["layers"]["lstm"]["rows_left_out"] == 0


@pytest.mark.parametrize("recording", [noise(k=1), noise(n=7), noise(n=1)])
def test_one_class_or_too_few_sequences_give_no_row_and_a_reason(
    recording: Recording, tmp_path: Path
) -> None:
    table, figures = measured(tmp_path, recording)
    assert len(table) == 0
    assert "4 folds" in figures["why"]["lstm"]


@pytest.mark.parametrize("own", [False, True])
def test_a_linear_target_is_read_out_by_its_share_of_the_variance(
    own: bool, tmp_path: Path
) -> None:
    recording = replace(noise(n=400, t=3), labels=None)
    recording.lengths = np.random.default_rng(0).integers(2, 4, 400)
    known = recording.signals["lstm"]["c"] @ np.array([1, -1, 1, 0, 0])
    known = known if own else known[:, 1]
    target = known + np.random.default_rng(1).normal(size=known.shape) + 1000
    (table, _), figures = decoded(
        tmp_path, aimed(write(tmp_path / "s", recording, parts=3), target)
    )
    assert (table["task"] == "regression").all()
    timesteps = table[table["train_timestep"] != gathering.LAST]
    c, h = of(timesteps, "c"), of(timesteps, "h")
    expected = [0.75, 0.75, 0.75] if own else [0, 0.75, 0]
    np.testing.assert_allclose(c["score"], expected, atol=0.1)
    np.testing.assert_allclose(h["score"], 0, atol=0.1)
    np.testing.assert_allclose(table["chance"], 0, atol=0.05)
    assert (table["chance"] <= 0).all()
    assert table["balanced_score"].isna().all()
    shuffled = table["shuffled"].dropna()
    np.testing.assert_allclose(shuffled, 0, atol=0.05)
    assert len(shuffled) == 3
    final = table[table["shuffled"].notna()].set_index("signal")["score"]
    assert figures["headline"]["best score"] == final.max()
    # Half of the sequences end at timestep 1: cov(x, y) is halved, and R^2 a quarter.
    assert final["c"] == pytest.approx(0.75 if own else 0.75 / 4, abs=0.1)


def test_r2_of_targets_that_are_all_the_same_in_a_fold_is_null_and_counted(
    tmp_path: Path,
) -> None:
    recording = replace(noise(n=12, t=1, signals="c"), labels=None)
    recorded = write(tmp_path / "states", recording)
    target = np.where(fold_of(states.read_sequences(recorded), OPTIONS) == 0, 1, 0) / 2
    tables, figures = decoded(tmp_path, aimed(recorded, target))
    reason = "the targets of a fold are all the same at the test timestep"
    for table, name in zip(tables, ("decoding", "decoding_units"), strict=True):
        columns = NUMBERS + SHUFFLED if name == "decoding" else NUMBERS
        assert table[columns].isna().all(axis=None)
        expected = {column: {reason: len(table)} for column in columns}
        expected["balanced_score"] = {"numbers have no classes to be balanced": len(table)}
        assert figures["null"][name] == expected


def test_targets_that_are_missing_are_left_out(tmp_path: Path) -> None:
    target = np.random.default_rng(0).normal(size=120)
    target[::4] = np.nan
    folder = aimed(write(tmp_path / "states", replace(noise(), labels=None)), target)
    (table, _), _ = decoded(tmp_path, folder)
    assert (table["sequences"] == 90).all()
    assert table[NUMBERS].drop(columns="balanced_score").notna().all(axis=None)


# annotations


def counted(recording: Recording) -> Recording:
    """With a depth of timesteps that c keeps, one that is always the same, and a rare mark."""
    n, t = len(recording.lengths), recording.valid.shape[1]
    depth = np.random.default_rng(3).integers(0, 9, (n, t))
    if "c" in recording.signals["lstm"]:
        recording.signals["lstm"]["c"][..., 2] = depth
    sequence, timestep = np.nonzero(np.arange(t) < recording.lengths[:, np.newaxis])
    known = {"sequence": sequence, "timestep": timestep}
    mark = np.where(sequence == 0, np.inf, np.nan)
    steps = {"depth": depth[sequence, timestep], "fold": 7, "mark": mark}
    recording.steps = pd.DataFrame(known | steps).astype({"depth": "int32", "fold": "int32"})
    return recording


@pytest.mark.parametrize("labelled", [True, False])
def test_each_annotation_that_varies_is_read_out_beside_the_label(
    labelled: bool, tmp_path: Path
) -> None:
    recording = noise(n=160, t=3)
    (plain, plain_few), plain_figures = decoded(tmp_path, write(tmp_path / "plain", recording))
    recording = counted(recording)
    if not labelled:
        recording.labels = None
    (table, few), figures = decoded(tmp_path, write(tmp_path / "states", recording, parts=3))
    assert table["target"].cat.categories.tolist() == ["label", "depth"][not labelled :]
    depth = table[table["target"] == "depth"]
    assert (depth["task"] == "regression").all()
    assert len(depth) == len(plain) == 27
    np.testing.assert_allclose(of(depth, "c")["score"], 1, atol=1e-3)
    np.testing.assert_allclose(of(depth, "h+c")["score"], 1, atol=1e-3)
    assert (of(depth, "h")["score"] < 0.1).all()
    assert (depth["chance"] <= 0).all()
    assert figures["at_final_step"]["lstm/c/depth"]["score"] == pytest.approx(1, abs=1e-3)
    assert figures["headline"]["best R² of depth"] == pytest.approx(1, abs=1e-3)
    assert figures["headline"]["chance of depth there"] == pytest.approx(0, abs=0.1)
    assert figures["headline"]["where depth"].startswith(("lstm/c at", "lstm/h+c at"))
    assert figures["layers"]["lstm/depth"]["timesteps"] == [0, 1, 2]
    assert set(figures["why"]) == {"lstm/fold", "lstm/mark"}
    one = few[(few["target"] == "depth") & (few["signal"] == "c") & (few["units"] == 1)]
    assert one["score"].item() == pytest.approx(1, abs=1e-3)
    if labelled:
        for got, want in ((table, plain), (few, plain_few)):
            of_label = got[got["target"] == "label"]
            kept = of_label["signal"].astype(str) == "h"  # depth was put into c
            same = want["signal"].astype(str) == "h"
            np.testing.assert_array_equal(of_label[kept][NUMBERS], want[same][NUMBERS])
        assert "best score" in figures["headline"]
        assert set(plain_figures["at_final_step"]) < set(figures["at_final_step"])
    else:
        assert "best score" not in figures["headline"]


def test_a_target_of_timesteps_is_a_target_and_no_annotation(tmp_path: Path) -> None:
    target = np.random.default_rng(0).normal(size=(120, 3))
    (table, few), figures = decoded(
        tmp_path, aimed(write(tmp_path / "s", replace(noise(), labels=None)), target)
    )
    assert set(table["target"]) == set(few["target"]) == {"target"}
    assert set(figures["at_final_step"]) == {"lstm/h", "lstm/c", "lstm/h+c"}
    assert "best score" in figures["headline"]


@pytest.mark.tensorflow
def test_annotations_of_a_file_are_read_out_of_what_was_recorded(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 6, 2)).astype(np.float32)
    given: dict[str, Any] = {}
    for part in ("train", "test"):
        given |= {f"x_{part}": x, f"y_{part}": random.integers(0, 2, 80)}
        given |= {f"depth_{part}": random.integers(0, 4, (80, 6))}
        given |= {f"lengths_{part}": random.integers(3, 7, 80)}
    np.savez(tmp_path / "mine.npz", **given)
    config = composed(
        tmp_path,
        "stage=decoding",
        "data=files",
        f"data.path={tmp_path / 'mine.npz'}",
        "data.annotations=[depth]",
        "model.units=4",
        "train.steps=0",
        "decoding.max_timesteps=2",
        "decoding.folds=2",
    )
    (step,) = [step for step in stages.run(config) if step.stage.name == "decoding"]
    table = pd.read_parquet(step.artefact.folder / "decoding.parquet")
    assert set(table["target"]) == {"label", "depth"}
    assert set(table[table["target"] == "depth"]["task"]) == {"regression"}


# warnings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"folds": 500}, "has no rows of lstm: no timestep has two sequences in each of 500 folds"),
        ({"max_sequences": 1}, "has no rows of lstm: no timestep has two sequences in each of 4"),
    ],
)
def test_that_nothing_is_read_out_is_warned_of(
    changes: dict[str, Any], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, _ = measured(tmp_path, noise(), replace(OPTIONS, **changes))
    assert len(table) == 0
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert reason in caplog.text


def test_layers_without_rows_for_one_reason_are_named_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = replace(noise(), labels=None)
    recording.signals["second"] = noise(1).signals["lstm"]
    measured(tmp_path, recording)
    lines = [each.getMessage() for each in caplog.records]
    assert lines == ["decoding has no rows of lstm, second: no labels and no targets"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_read_outs_that_did_not_converge_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "ITERATIONS", 1)
    _, figures = measured(tmp_path, drawn(n=60, t=1, signals="c"))
    fits = 4 * (1 + 20 + 4)  # folds; of all units, of shuffled labels, and of 1, 2, 4, 7 units
    assert figures["unconverged"] == fits


QUIET = """
import warnings
import numpy as np
from rnnscope.analysis.decoding import probe

probe.ITERATIONS = 1
y, fold = np.arange(40) % 2, np.arange(40) // 20
problem = probe.Problem(y, np.zeros(40, int), fold, np.arange(40), 1.0)
x = np.random.default_rng(0).normal(size=(40, 3))
print(probe.held_out(x, problem, 0).unconverged)
try:
    warnings.warn("mind the step", RuntimeWarning)
except RuntimeWarning:
    print("passed on")
"""


def test_convergence_warnings_alone_are_silenced_in_a_process() -> None:
    command = [sys.executable, "-W", "error", "-c", QUIET]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "passed", "on"], done.stderr
