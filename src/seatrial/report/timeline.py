"""The timeline of a run: panels, fault lanes and stage marks on one shared time axis, ready for the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from seatrial.history import History, Injection, ProbeSample, ResourceSample, StageEvent
from seatrial.report.scales import HIGH, WIDE, Floats, Scale, bars, line, linear, logarithmic, time_ticks, usual_spacing
from seatrial.report.series import Axis, Lines, ProbeSeries, axis_of, ops_series, probe_series, resource_lines
from seatrial.report.text import clip_line, elapsed, number, plural, seconds, size

_LABEL_SHARE = 0.0075  # width of a character of a lane's label, as a share of the axis
_MOST_LANES, _MOST_PROBES, _MOST_BARS = 6, 6, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """One entry of a panel's legend: the style class, what it is, and its figure for the whole run."""

    style: str
    label: str
    value: str
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: svg is drawn 1000 x 100 and stretched; ticks are (percent from the top, label)."""

    title: str
    hint: str
    kind: str
    svg: Markup
    ticks: list[tuple[float, str]]
    legend: list[Legend]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span on the axis, in percent: a stage or a fault in force."""

    left: float
    width: float
    label: str
    style: str
    detail: str
    flip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything the page draws over time. data: what the pointer shows, as plain lists."""

    panels: list[Panel]
    faults: list[list[Bar]]
    faults_left_out: int
    stages: list[list[Bar]]
    ticks: list[tuple[float, str]]
    bucket: str
    data: dict[str, Any]


def timeline_of(history: History) -> Timeline | None:
    """Return the timeline of a run, or None when nothing was measured."""
    axis = axis_of(history)
    if axis is None:
        return None
    injections = history.injections()
    draw = _Drawing(axis, _bands(injections, axis))
    if len(history.ops):
        draw.ops(history)
    draw.probes(probe_series(history.of(ProbeSample), axis))
    lines = resource_lines(list(history.of(ResourceSample)), axis)
    draw.resource("memory (RSS)", lines["rss"], size, binary=True)
    draw.resource("CPU, share of one core", lines["cpu"], lambda v: f"{v:,.0f} %")
    draw.resource("open files", lines["fds"], number)
    lanes, left_out = _fault_lanes(injections, axis)
    return Timeline(
        panels=draw.panels,
        faults=lanes,
        faults_left_out=left_out,
        stages=_lanes(_stage_bars(history, axis))[:3],
        ticks=_time_ticks(axis),
        bucket=seconds(axis.width_s),
        data={"n": axis.buckets, "w": axis.width_s, "series": draw.data},
    )


def _time_ticks(axis: Axis) -> list[tuple[float, str]]:
    length = axis.width_s * axis.buckets
    return [(round(at / length * 100, 2), elapsed(at) if at else "0") for at in time_ticks(length)]


def _bands(injections: Sequence[Injection], axis: Axis) -> str:
    parts = []
    for injection in injections[:_MOST_BARS]:
        span = injection.window(axis.end_ns)
        if span:
            left, right = axis.share(span[0]) * WIDE, axis.share(span[1]) * WIDE
            parts.append(f"M{left:.2f} 0h{max(right - left, 1.5):.2f}v{HIGH:g}H{left:.2f}z")
    return f'<path class="band" d="{"".join(parts)}"/>' if parts else ""


def _bar(axis: Axis, span: tuple[int, int], label: str, style: str) -> Bar:
    left, right = axis.share(span[0]), axis.share(span[1])
    first, last = elapsed(axis.seconds(span[0])), elapsed(axis.seconds(span[1]))
    return Bar(
        left=round(left * 100, 3),
        width=round(max(right - left, 0.003) * 100, 3),
        label=clip_line(label, 42),
        style=style,
        detail=f"{clip_line(label, 200)}: {first} to {last}",
        flip=left > 0.6,
    )


def _fault_lanes(injections: Sequence[Injection], axis: Axis) -> tuple[list[list[Bar]], int]:
    spans = [(i, i.window(axis.end_ns)) for i in injections]
    found = [_bar(axis, s, f"{i.id} {i.kind} {i.target}", "bit" if i.bit else "unbit") for i, s in spans if s]
    lanes = _lanes(found[:_MOST_BARS])
    return lanes[:_MOST_LANES], len(found) - sum(len(lane) for lane in lanes[:_MOST_LANES])


def _lanes(found: Sequence[Bar]) -> list[list[Bar]]:
    """Put bars and their labels into as few lanes as keep them apart."""
    lanes: list[tuple[list[Bar], float]] = []
    for bar in sorted(found, key=lambda b: (b.left, b.label)):
        text = len(bar.label) * _LABEL_SHARE * 100
        begin = bar.left - text if bar.flip else bar.left
        end = bar.left + bar.width if bar.flip else max(bar.left + bar.width + text, bar.left)
        for index, (lane, taken) in enumerate(lanes):
            if taken <= begin:
                lanes[index] = ([*lane, bar], end)
                break
        else:
            lanes.append(([bar], end))
    return [lane for lane, _ in lanes]


def _stage_bars(history: History, axis: Axis) -> list[Bar]:
    begun: dict[str, int] = {}
    found = []
    for event in history.of(StageEvent):
        if event.what == "begin":
            begun[event.stage] = event.t_ns
        elif event.stage in begun:
            found.append((event.stage, begun.pop(event.stage), event.t_ns, event.outcome or "pass"))
    found += [(stage, begin, axis.end_ns, "open") for stage, begin in begun.items()]
    return [
        _bar(axis, (begin, end), stage, f"stage-{outcome if outcome in _STAGE_STYLES else 'open'}")
        for stage, begin, end, outcome in found
        if end > axis.begin_ns and begin < axis.end_ns
    ]


def _held(series: ProbeSeries) -> tuple[NDArray[np.bool_], Floats]:
    """Return where a probe's state is known, and the share of bad answers: each answer holds until the next is due."""
    asked = series.good + series.bad
    share = np.where(asked > 0, series.bad / np.maximum(asked, 1), np.nan)
    place = np.arange(len(asked))
    last = np.maximum.accumulate(np.where(asked > 0, place, -1))
    known = (last >= 0) & (place - last <= usual_spacing(share))
    return known, np.where(known, share[np.maximum(last, 0)], 0.0)


_STAGE_STYLES = {"pass", "fail", "inconclusive", "not-tested", "environment"}
_STACK = (("ok", "ok"), ("in flight", "in_flight"), ("unknown", "unknown"), ("fail", "fail"))


class _Drawing:
    """Collects panels and the figures behind them."""

    def __init__(self, axis: Axis, bands: str) -> None:
        self.axis, self.bands = axis, bands
        self.panels: list[Panel] = []
        self.data: dict[str, Any] = {}

    def _series(self, values: Any, unit: str) -> str:
        key = f"s{len(self.data)}"
        plain = [None if v != v else float(f"{v:.4g}") for v in np.asarray(values, dtype=np.float64).tolist()]
        self.data[key] = {"u": unit, "v": plain}
        return key

    def _svg(self, scale: Scale | None, body: str) -> Markup:
        grid = "".join(f"M0 {t:.2f}H{WIDE:g}" for t, _ in scale.tick_places(str)) if scale else ""
        rules = f'<path class="grid" d="{grid}"/>' if grid else ""
        return Markup(f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none">{self.bands}{rules}{body}</svg>')

    def ops(self, history: History) -> None:
        """Add the two panels of the ops: rate by outcome, and latency."""
        series = ops_series(history.ops, self.axis)
        self._rate(series.rate, history)
        if not np.isnan(series.top).all():
            self._latency({"p50": series.p50, "p99": series.p99, "max": series.top})

    def _rate(self, rate: dict[str, Floats], history: History) -> None:
        total = np.sum(list(rate.values()), axis=0)
        scale = linear(float(total.max()))
        parts, legend, below = [], [], np.zeros(self.axis.buckets)
        for label, key in _STACK:
            values = rate[key]
            if not values.any():
                continue
            least = 0.0 if key == "ok" else 3.0
            path = bars(scale.y(below), scale.y(below + values), least)
            parts.append(f'<path class="area {key}" d="{path}"/>')
            below = below + values
            count = round(float(values.sum()) * self.axis.width_s)
            legend.append(Legend(style=key, label=label, value=f"{count:,}", series=self._series(values, "/s")))
        self.panels.append(
            Panel(
                title="ops per second",
                hint="each op at the moment its user wanted it",
                kind="tall",
                svg=self._svg(scale, "".join(parts)),
                ticks=scale.tick_places(number),
                legend=legend,
            )
        )

    def _latency(self, lines: dict[str, Floats]) -> None:
        known = lines["p50"][~np.isnan(lines["p50"])]
        scale = logarithmic(max(float(known.min()), 1e-6), float(np.nanmax(lines["max"])))
        parts, legend = [], []
        for name in ("max", "p99", "p50"):
            parts.append(f'<path class="line {name}" d="{line(scale.y(lines[name]))}"/>')
        for name in ("p50", "p99", "max"):
            worst = f"worst {seconds(float(np.nanmax(lines[name])))}"
            legend.append(Legend(style=name, label=name, value=worst, series=self._series(lines[name], "s")))
        self.panels.append(
            Panel(
                title="latency of ops that succeeded",
                hint="from the intended start; logarithmic",
                kind="tall",
                svg=self._svg(scale, "".join(parts)),
                ticks=scale.tick_places(seconds),
                legend=legend,
            )
        )

    def probes(self, found: dict[str, ProbeSeries]) -> None:
        """Add one strip a health probe: good below, bad from the top."""
        for name, series in list(found.items())[:_MOST_PROBES]:
            asked, share = _held(series)
            split = np.where(share > 0, np.maximum(share, 0.4), 0.0) * HIGH
            zero, full = np.zeros(self.axis.buckets), np.full(self.axis.buckets, HIGH)
            good = bars(np.where(asked, full, zero), np.where(asked, split, zero))
            body = f'<path class="area ok" d="{good}"/><path class="area fail" d="{bars(split, zero)}"/>'
            counts = (("ok", "good", series.good), ("fail", "bad", series.bad))
            self.panels.append(
                Panel(
                    title=f"health: {clip_line(name, 40)}",
                    hint="empty where nobody asked",
                    kind="strip",
                    svg=self._svg(None, body),
                    ticks=[],
                    legend=[
                        Legend(style=s, label=w, value=f"{int(v.sum()):,}", series=self._series(v, ""))
                        for s, w, v in counts
                    ],
                )
            )

    def resource(self, title: str, lines: Lines, show: Callable[[float], str], binary: bool = False) -> None:
        """Add one figure of all processes; nothing when there were no samples."""
        if not lines.values:
            return
        scale = linear(max(float(np.nanmax(v)) for v in lines.values.values()), binary)
        parts, legend = [], []
        for place, (process, values) in enumerate(lines.values.items()):
            path = line(scale.y(values), reach=usual_spacing(values) * 3)
            parts.append(f'<path class="line p{place}" d="{path}"/>')
            unit = "B" if binary else "%" if "CPU" in title else ""
            peak = f"peak {show(float(np.nanmax(values)))}"
            series = self._series(values, unit)
            legend.append(Legend(style=f"p{place}", label=clip_line(process, 30), value=peak, series=series))
        left_out = f"busiest {len(lines.values)}; {plural(lines.left_out, 'more process', 'more processes')}"
        self.panels.append(
            Panel(
                title=title,
                hint=left_out if lines.left_out else "",
                kind="low",
                svg=self._svg(scale, "".join(parts)),
                ticks=scale.tick_places(show),
                legend=legend,
            )
        )
