"""Draw the benchmarks' pictures and fill the tables of docs/performance.md.

    python scripts/plot_benchmarks.py            # needs `pip install -e '.[bench]'`
    python scripts/plot_benchmarks.py --tables   # the tables only

Reads all of benchmarks/results/*.json.  Of rows that measure the same thing the last one counts.
What stands between `<!-- begin: NAME -->` and `<!-- end -->` is written anew.
"""

import argparse
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "benchmarks"
STAGES = ("start", "load", "validate", "baselines", "prepare", "compile", "relax", "round",
          "certify", "write")  # fmt: skip
GIB = 2**30
MISSING = "Not measured yet.\n"

Row = dict[str, Any]


def read(folder: Path = RESULTS) -> list[Row]:
    """The rows of all files, each with the seconds that it took; the last of a kind counts."""
    found: dict[str, Row] = {}
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    files = [file for file in files if "benchmarks" in file]
    for file in sorted(files, key=lambda file: file["datetime"]):
        for row in file["benchmarks"]:
            if "kind" in row["extra_info"]:
                measured = {"seconds": row["stats"]["median"], "day": file["datetime"][:10]}
                found[row["fullname"]] = measured | row["extra_info"]
    return list(found.values())


def page(text: str, rows: list[Row]) -> str:
    """The page with its generated parts made from the rows."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]](rows) or MISSING}{match[3]}"

    return re.sub(r"(<!-- begin: (\w+) -->)\n.*?(<!-- end -->)", fill, text, flags=re.DOTALL)


def machines(rows: list[Row]) -> str:
    """Who measured what."""
    lines = []
    for row in rows:
        on = f"{row['cores']} cores ({row['cpu']}), {row['memory_bytes'] / GIB:.0f} GiB"
        versions = ", ".join(f"{k} {v}" for k, v in row["versions"].items() if k in SHOWN)
        changed = " with changes" if row["changed_since"] else ""
        made = f"`{row['benchmark_command']}`"
        lines.append((row["day"], f"{(row['commit'] or '?')[:10]}{changed}", on, versions, made))
    return _table("day | commit | machine | versions | command", sorted(set(lines)), "lllll")


SHOWN = ("python", "jaxplace", "jax", "numpy")


def solves(rows: list[Row]) -> str:
    """Whole solves, first and second run."""
    warm, cold = ({r["scenario"]: r for r in rows if _is(r, "solve", cache=c)}
                  for c in ("warm", "cold"))  # fmt: skip
    lines = []
    for name, row in _by_size(warm).items():
        first = f"{cold[name]['total_s']:.1f}" if name in cold else ""
        lines.append(
            (name, _size(row), first, f"{row['total_s']:.1f}", f"{row['gap']:.1e}",
             _usd(row["objective_usd"]), _usd(row["lower_bound_usd"]),
             f"{row['peak_rss_bytes'] / GIB:.2f}", _checked(row))
        )  # fmt: skip
    head = ("scenario | requests x regions | first run [s] | next run [s] | gap "
            "| plan [USD/h] | lower bound [USD/h] | memory [GiB] | checked")  # fmt: skip
    return _table(head, lines, "llrrrrrrl")


def stages(rows: list[Row]) -> str:
    """Where a warm solve's time goes."""
    warm = _by_size({r["scenario"]: r for r in rows if _is(r, "solve", cache="warm")})
    lines = [
        (name, *(f"{_stages(row)[stage]:.2f}" for stage in STAGES), f"{row['total_s']:.1f}")
        for name, row in warm.items()
    ]
    table = _table(" | ".join(["seconds", *STAGES, "total"]), lines, "l" + "r" * (len(STAGES) + 1))
    return table and table + _picture("stages", "seconds by stage, warm")


def growth(rows: list[Row]) -> str:
    """Time and memory as requests and regions grow."""
    text = ""
    for of, fixed in (("requests", "regions"), ("regions", "requests")):
        some = _series(rows, of)
        lines = [
            (f"{r['size'][of]:,}", f"{r['size'][fixed]:,}", f"{r['total_s']:.1f}",
             *_slopes(some, k, of), f"{r['peak_rss_bytes'] / GIB:.2f}",
             f"{4 * _pairs(r) / GIB:.2f}", f"{r['gap']:.1e}", _checked(r))
            for k, r in enumerate(some)
        ]  # fmt: skip
        head = (f"{of} | {fixed} | seconds | slope of time | slope of memory | memory [GiB] "
                "| float32 a pair [GiB] | gap | checked")  # fmt: skip
        table = _table(head, lines, "rrrrrrrrl")
        text += table and table + "\n"
    return text and text.removesuffix("\n") + _picture(
        "growth", "time and memory over requests and regions"
    )


def kernels(rows: list[Row]) -> str:
    """Pairs per second, and shares of what the machine can do."""
    some = [r for r in rows if _is(r, "kernel")]
    some.sort(key=lambda r: (r["kernel"], r["rows"] * r["regions"], r["backend"]))
    lines = [
        (r["kernel"], f"{r['scenario']}, {r['rows']:,} x {r['regions']:,}", r["backend"],
         f"{r['seconds'] * 1e3:.1f}", f"{r['pairs_per_s'] / 1e9:.2f}",
         f"{r['allowed_pairs_per_s'] / 1e9:.2f}", f"{r['share_of_exp_limit']:.0%}",
         f"{r['share_of_exp_limit_allowed']:.0%}", f"{r['share_of_copy_limit']:.0%}")
        for r in some
    ]  # fmt: skip
    head = ("kernel | rows x regions | by | ms | G pairs/s | G allowed pairs/s "
            "| of the exp limit | the same, allowed | of the copy limit")  # fmt: skip
    table = _table(head, lines, "lllrrrrrr")
    limits = {
        (f"{what}: {name}", f"{rate / 1e9:.1f} G/s")
        for what, key in (("exponentials", "exp_per_s"), ("bytes copied", "copy_bytes_per_s"))
        for name, rate in _best_limits(some, key).items()
    }
    table = table and table + "\n" + _table("limit, best of the runs | rate", sorted(limits), "lr")
    return table and table + _picture("roofline", "allowed pairs per second and the limit")


def steps(rows: list[Row]) -> str:
    """Solves without one step."""
    some = [r for r in rows if _is(r, "step")]
    whole = next((r["seconds"] for r in some if r["without"].startswith("nothing")), math.nan)
    lines = [
        (r["without"], f"{r['seconds']:.1f}", f"{r['seconds'] / whole:.2f}", str(r["steps"]),
         f"{r['gap']:.1e}")
        for r in some
    ]  # fmt: skip
    head = "left out | seconds | times as long | Newton steps | gap"
    return _table(head, lines, "lrrrr")


PARTS: dict[str, Callable[[list[Row]], str]] = {
    part.__name__: part for part in (machines, solves, stages, growth, kernels, steps)
}


def _is(row: Row, kind: str, **more: Any) -> bool:
    return row["kind"] == kind and all(row.get(k) == v for k, v in more.items())


def _by_size(rows: dict[str, Row]) -> dict[str, Row]:
    return dict(sorted(rows.items(), key=lambda at: _pairs(at[1])))


def _pairs(row: Row) -> int:
    return row["size"]["rows"] * row["size"]["regions"]


def _size(row: Row) -> str:
    return f"{row['size']['requests']:,} x {row['size']['regions']:,}"


def _usd(value: float) -> str:
    return f"{value:,.3f}"


def _checked(row: Row) -> str:
    ok = row["independent_check"]["ok"]
    return "no" if ok is None else "holds" if ok else "**fails**"


def _stages(row: Row) -> dict[str, float]:
    """Seconds by stage; the start is what no stage accounts for."""
    spent = {stage: row["timings_s"].get(stage, 0.0) for stage in STAGES}
    return spent | {"start": max(row["total_s"] - sum(spent.values()), 0.0)}


def _series(rows: list[Row], of: str) -> list[Row]:
    some = [r for r in rows if _is(r, f"growth: {of}")]
    return sorted(some, key=lambda r: r["size"][of])


def _slopes(series: list[Row], k: int, of: str) -> tuple[str, str]:
    """From the point before, in log-log: 1 is linear."""
    if k == 0:
        return "", ""
    one, two = series[k - 1], series[k]
    wide = math.log(two["size"][of] / one["size"][of])
    keys = ("total_s", "peak_rss_bytes")
    time, memory = (f"{math.log(two[key] / one[key]) / wide:.2f}" for key in keys)
    return time, memory


def _best_limits(rows: list[Row], what: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for row in rows:
        for name, rate in row["limits"][what].items():
            best[name] = max(best.get(name, 0.0), rate)
    return best


def _table(head: str, lines: Iterable[tuple[str, ...]], align: str) -> str:
    """A Markdown table, or nothing without lines."""
    rule = "|".join(" --- " if a == "l" else " ---: " for a in align)
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {head} |", f"|{rule}|", *rows]) + "\n" if rows else ""


def _picture(name: str, what: str) -> str:
    return f"\n![{what}](benchmarks/{name}.svg)\n"


def draw(rows: list[Row], folder: Path = PICTURES) -> None:
    """All pictures for which there are rows."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "jaxplace", "font.size": 9, "axes.grid": True,
        "grid.alpha": 0.3, "axes.axisbelow": True, "svg.fonttype": "none"})  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("growth", _growth), ("stages", _bars), ("roofline", _roofline)):
        figure = make(rows)
        if figure is not None:
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            text = path.read_text()
            path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def _growth(rows: list[Row]) -> Any:
    from matplotlib import pyplot

    every = [row for row in rows if row["kind"].startswith("growth")]
    if not every:
        return None
    figure, axes = pyplot.subplots(
        2, 2, figsize=(8, 5.5), sharex="col", sharey="row", layout="constrained"
    )
    for column, (of, fixed) in enumerate((("requests", "regions"), ("regions", "requests"))):
        series = _series(rows, of)
        if not series:
            continue
        x = [row["size"][of] for row in series]
        for line, (key, unit, what) in enumerate(
            (("total_s", 1, "seconds"), ("peak_rss_bytes", GIB, "memory [GiB]"))
        ):
            y, panel = [row[key] / unit for row in series], axes[line][column]
            panel.loglog(x, y, "o-")
            panel.loglog(x, [y[-1] * v / x[-1] for v in x], ":", color="gray", label="linear")
            slope = _slopes(series, len(series) - 1, of)[line]
            if slope:
                panel.annotate(f"last slope {slope}", (x[-1], y[-1]), ha="right", va="bottom")
            panel.set_ylim(bottom=min(row[key] for row in every) / unit / 2)
            panel.set_ylabel("" if column else what)
            panel.legend(frameon=False, loc="upper left")
        axes[0][column].set_title(f"{series[0]['size'][fixed]:,} {fixed}")
        axes[1][column].set_xlabel(of)
    return figure


def _bars(rows: list[Row]) -> Any:
    from matplotlib import pyplot

    warm = _by_size({r["scenario"]: r for r in rows if _is(r, "solve", cache="warm")})
    if not warm:
        return None
    figure, panel = pyplot.subplots(figsize=(8, 0.5 * len(warm) + 1.2))
    names = [f"{name} ({row['total_s']:.1f} s)" for name, row in warm.items()]
    left = [0.0] * len(warm)
    colors = pyplot.get_cmap("tab10")
    for k, stage in enumerate(STAGES):
        share = [100 * _stages(row)[stage] / row["total_s"] for row in warm.values()]
        panel.barh(names, share, left=left, label=stage, color=colors(k))
        left = [a + b for a, b in zip(left, share, strict=True)]
    panel.invert_yaxis()
    panel.set_xlabel("share of the time [%]")
    panel.legend(ncol=5, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _roofline(rows: list[Row]) -> Any:
    from matplotlib import pyplot

    some = [r for r in rows if _is(r, "kernel")]
    if not some:
        return None
    some.sort(key=lambda r: (r["kernel"], r["rows"] * r["regions"], r["backend"]))
    names = [f"{r['kernel']}, {r['scenario']}, {r['backend']}" for r in some]
    figure, panel = pyplot.subplots(figsize=(8, 0.25 * len(some) + 1))
    panel.barh(names, [r["pairs_per_s"] / 1e9 for r in some], color="lightsteelblue", label="all")
    panel.barh(
        names,
        [r["allowed_pairs_per_s"] / 1e9 for r in some],
        height=0.5,
        color="steelblue",
        label="allowed",
    )
    limit = max(_best_limits(some, "exp_per_s").values()) / 1e9
    panel.axvline(limit, color="black", label="exponentials only")
    panel.axvline(limit / 2, color="black", ls=":", label="half of that")
    panel.invert_yaxis()
    panel.set_xlabel("G pairs per second")
    panel.legend(frameon=False, loc="best")
    return figure


def main() -> None:
    """Write pictures and page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", action="store_true", help="leave the pictures as they are")
    given = parser.parse_args()
    rows = read()
    if not given.tables:
        draw(rows)
    PAGE.write_text(page(PAGE.read_text(), rows))


if __name__ == "__main__":
    main()
