"""What stage decoding says of its scores: those at the final step, and the best of them."""

from typing import Any

import pandas as pd

from rnnscope.analysis.decoding import gathering


def named(place: str, target: str) -> str:
    """The name of a layer, or of a signal of it, in the figures: with that of an annotation."""
    return place if target in gathering.TASK else f"{place}/{target}"


def figures(table: pd.DataFrame) -> dict[str, Any]:
    """The scores at the final step, and the headline: the best of these, and of what.

    Where the final step cannot be decoded, the best is that of all timesteps.
    """
    final = table[table["shuffled"].notna()]
    headline: dict[str, Any] = {"rows": len(table)}
    same = table[(table["train_timestep"] == table["test_timestep"]) & table["score"].notna()]
    ended = same[same["target"].isin(final["target"])]
    same = pd.concat([final, same.drop(ended.index)])
    for target, of in same.groupby("target", observed=True, sort=False):
        best = of.loc[of["above_chance"].idxmax()]
        name = "best score" if target in gathering.TASK else f"best R² of {target}"
        at = best["test_timestep"]
        headline |= {
            name: float(best["score"]),
            "chance there" if target in gathering.TASK else f"chance of {target} there": float(
                best["chance"]
            ),
            "where" if target in gathering.TASK else f"where {target}": (
                f"{best['layer']}/{best['signal']} at "
                + ("the final step" if best["shuffled"] == best["shuffled"] else f"timestep {at}")
            ),
        }
    names = ("score", "chance", "shuffled", "p_value")
    return {
        "rows": len(table),
        "at_final_step": {
            named(f"{row['layer']}/{row['signal']}", row["target"]): {
                name: float(row[name]) for name in names
            }
            for _, row in final.iterrows()
        },
        "headline": headline,
    }
