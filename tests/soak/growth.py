"""What a process held over time, and whether it grew."""

import dataclasses


@dataclasses.dataclass
class Sample:
    at: float  # seconds since the window began
    resident: int
    anonymous: int
    descriptors: int
    threads: dict  # how many by name
    series: dict  # of its metrics, how many by family and labels; empty: it has none


def fit(points):
    """(value at the first, value at the last) of the line of least squares through (x, y)."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return (mean_y + slope * (points[0][0] - mean_x), mean_y + slope * (points[-1][0] - mean_x))


def growth(points):
    """Of the fitted line from its first to its last point, as a share of the first."""
    first, last = fit(points)
    return last / first - 1


@dataclasses.dataclass
class Row:
    """One process over the window."""

    name: str
    resident_mib: tuple  # fitted, first and last
    resident_growth: float
    anonymous_growth: float
    highest_growth: float  # the highest sample over the window's first one
    descriptors: tuple  # without clients: when the window began, at its end
    threads: tuple
    other_threads: str  # what the end has more of, and less
    series: tuple  # with clients: how many in the window's first half and in all of it
    new_series: tuple  # names of what only the second half has

    def problems(self, most_growth, most_series):
        found = []
        if self.resident_growth > most_growth:
            found.append(f"{self.name}: resident memory grew by {100 * self.resident_growth:.1f} %, "
                         f"wanted at most {100 * most_growth:.0f} %")
        for what, (first, last), more in (("file descriptors", self.descriptors, ""),
                                          ("threads", self.threads, self.other_threads)):
            if first != last:
                found.append(f"{self.name}: {what} went from {first} to {last} without clients{more}")
        if self.series[1] > self.series[0] * (1 + most_series):
            found.append(f"{self.name}: series of metrics went from {self.series[0]} to "
                         f"{self.series[1]}: {' '.join(self.new_series)}")
        return found


def other_threads(first, last):
    changes = {name: last.get(name, 0) - first.get(name, 0) for name in sorted({*first, *last})}
    told = ", ".join(f"{change:+d} {name}" for name, change in changes.items() if change)
    return f" ({told})" if told else ""


def make_row(name, samples, quiet_first, quiet_last):
    """`samples` of the window under load; the two of when no client was there."""
    resident = [(sample.at, sample.resident) for sample in samples]
    first, last = fit(resident)
    half = len(samples) // 2
    before = {of: count for sample in samples[:half] for of, count in sample.series.items()}
    after = before | {of: count for sample in samples[half:] for of, count in sample.series.items()}
    return Row(name=name, resident_mib=(first / 2**20, last / 2**20),
               resident_growth=growth(resident),
               anonymous_growth=growth([(sample.at, sample.anonymous) for sample in samples]),
               highest_growth=max(value for _, value in resident) / resident[0][1] - 1,
               descriptors=(quiet_first.descriptors, quiet_last.descriptors),
               threads=(sum(quiet_first.threads.values()), sum(quiet_last.threads.values())),
               other_threads=other_threads(quiet_first.threads, quiet_last.threads),
               series=(sum(before.values()), sum(after.values())),
               new_series=tuple(sorted(after.keys() - before.keys())))
