"""The unit table as the page carries it: which columns, in which order, and what each means."""

from typing import Any

import pandas as pd

ROWS = 20_000
"""Most rows a page carries; past it the file grows too large to open with ease."""
MAIN = (
    *("layer", "signal", "unit", "eta2", "selectivity", "preferred_class", "p_value", "q_value"),
    *("loss_change", "mean", "std", "left_saturated", "right_saturated"),
    *("timescale", "timescale_r2", "forget_timescale", "dead", "best_covariate"),
    "best_correlation",
)
"""The columns shown at first, of which layer only where there are several; others on demand."""
GUARDED = {
    "selectivity": "eta2",
    "p_value": "q_value",
    "timescale": "timescale_r2",
    "mutual_information": "mi_null",
    "mi_p": "mi_q",
}
"""Columns that can mislead alone -> the one that stands beside them."""
LAST = "at each sequence's last timestep"
DEFINITIONS = {
    "layer": "Recurrent layer, by its name in the model.",
    "signal": "h hidden state, c cell state; gates i input, f forget, o output, g candidate.",
    "unit": "Number of the unit, from 0, as in the states' columns.",
    "eta2": f"Share of the unit's variance that lies between classes, {LAST}; 0 to 1. Effect size "
    "of a one-way analysis of variance.",
    "selectivity": f"(largest class mean − mean of the others) / their sum, of |x|, {LAST}; 0 to "
    "1. It looks at one class only and can be high where nothing depends on the unit (Morcos et "
    "al. 2018): read it beside eta2.",
    "preferred_class": f"Class with the largest mean, {LAST}.",
    "dprime": "How far the preferred class is from all others, in standard deviations.",
    "auc": "How often a sequence of the preferred class has the larger value than one of another, "
    "as a share of all such pairs; 0.5 says nothing.",
    "mutual_information": f"Bits that the value tells of the class, {LAST}, in quantile bins and "
    "corrected for the bias of small samples (Miller and Madow).",
    "mi_null": "The same with the labels shuffled, on average.",
    "mi_p": "Share of shuffles that tell as much.",
    "mi_q": "mi_p after Benjamini and Hochberg, over all units of the layer and signal.",
    "loss_change": "Rise of the test loss in nats when this unit's h or c is clamped to 0 "
    "throughout, in a new run of the model.",
    "accuracy_change": "Change of the test accuracy, likewise.",
    "p_value": "Of that analysis of variance: how probable so large an F is when no class differs.",
    "q_value": "p_value after Benjamini and Hochberg, over all units of the layer and signal.",
    "mean": "Mean over all timesteps of all sequences.",
    "std": "Standard deviation over all timesteps of all sequences (ddof = 1).",
    "left_saturated": "Share of timesteps below the lower cut; the cuts are units.gate_cuts and "
    "units.tanh_cuts.",
    "right_saturated": "Share of timesteps above the upper cut; the cuts are units.gate_cuts and "
    "units.tanh_cuts.",
    "forget_timescale": "−1 / ln(mean f), in timesteps: how long the cell state lasts, to 1/e. "
    "Forget gates only.",
    "timescale": "How long fluctuations last, in timesteps: the decay fitted to their "
    "autocorrelation within sequences (Murray et al. 2014). Biased low on short sequences: read it "
    "beside timescale_r2.",
    "timescale_r2": "Share of the autocorrelation's variance that this decay explains.",
    "lag1": "Autocorrelation of fluctuations from one timestep to the next.",
    "hoyer": "Sparseness of the values: 0 if all are alike, 1 if one alone is not zero (Hoyer "
    "2004).",
    "lifetime_sparseness": "The same after Treves and Rolls (1991).",
    "best_covariate": "Annotation of single timesteps that goes along with the unit most.",
    "best_correlation": "Pearson correlation with it, over all timesteps.",
    "dead": "Whether the variance is below units.dead_variance.",
    "omega2": "eta2 with its bias from small samples taken off.",
    "f_statistic": f"F of the analysis of variance over classes, {LAST}.",
    "count": "Timesteps of all sequences that the statistics are taken over.",
    "min": "Smallest value.",
    "max": "Largest value.",
    "skewness": "Third standardised moment; 0 for a symmetric distribution.",
    "kurtosis": "Excess kurtosis, fourth standardised moment − 3; 0 for a normal distribution.",
    "q01": "1 % quantile.",
    "q05": "5 % quantile.",
    "q25": "25 % quantile.",
    "median": "50 % quantile.",
    "q75": "75 % quantile.",
    "q95": "95 % quantile.",
    "q99": "99 % quantile.",
}
"""Column -> what it is, in the order in which the page shows them."""


def contents(units: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """The table as JSON: columns of plain values, null where there is none, and how to show them.

    Columns without any value are left out. What can mislead goes with what guards it, as
    selectivity with eta2, or not at all. Rows come with the largest eta2 first (std where there
    are no classes).
    """
    known = units.loc[:, units.notna().any()]
    for name, beside in GUARDED.items():
        if name in known and beside not in known:
            known = known.drop(columns=name)
    by = next((name for name in ("eta2", "std") if name in known), "unit")
    first = known.sort_values(by, ascending=False, kind="stable").head(ROWS)
    names = [
        *(name for name in DEFINITIONS if name in known),
        *(str(name) for name in known if name not in DEFINITIONS),
    ]
    shown = set(MAIN) - (set() if len(units["layer"].unique()) > 1 else {"layer"})
    return {
        "columns": [_column(name, first[name], main=name in shown) for name in names],
        "classes": classes,
        "rows": len(first),
        "left_out": len(units) - len(first),
        "sorted": by,
    }


def _column(name: str, values: "pd.Series[Any]", *, main: bool) -> dict[str, Any]:
    """One column: how it is shown, what it means, and its values."""
    kind = _kind(name, values)
    plain = values.astype(object).where(values.notna(), None).tolist()
    if kind not in ("text", "truth", "class", "count"):
        # Six digits are more than the page shows, and a third of the size.
        plain = [None if value is None else float(f"{value:.6g}") for value in plain]
    return {
        "name": name,
        "kind": kind,
        "main": main,
        "help": DEFINITIONS.get(name, ""),
        "values": plain,
    }


def _kind(name: str, values: "pd.Series[Any]") -> str:
    """How a column is shown: text, truth, class, count, p (two digits), large or number."""
    if name == "preferred_class":
        return "class"
    if name in ("p_value", "q_value", "mi_p", "mi_q"):
        return "p"
    if name in ("f_statistic", "timescale", "forget_timescale"):
        return "large"
    if pd.api.types.is_bool_dtype(values):
        return "truth"
    if pd.api.types.is_integer_dtype(values):
        return "count"
    return "number" if pd.api.types.is_float_dtype(values) else "text"
