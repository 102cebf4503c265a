"""Expressions that panels are made of; every selector keeps to the dashboard's variables."""

NAMESPACE = 'namespace=~"$namespace"'
POOL = 'namespace=~"$namespace", pool=~"$pool"'
# Others have metrics of these names, too.
PROCESS = 'namespace=~"$namespace", job=~".*penstock.*"'
INSTANCE = 'namespace=~"$namespace", instance=~"$instance"'


# Refusals and failures are quick, or last as long as their callers wait: neither tells how long an
# answer takes.
ANSWERED = ', code="OK"'
BUDGET = "{{pool}} {{tenant}} {{resource}} by the {{per}}"


def rate(metric, selector, by="", window="$__rate_interval"):
    """Of a counter, a second; summed by labels."""
    over = f"rate({metric}{{{selector}}}[{window}])"
    return f"sum by ({by}) ({over})" if by else f"sum({over})"


def quantile(share, histogram, selector, by=""):
    """Of a histogram's latest observations."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', selector, labels)})"


def mean(histogram, selector, by=""):
    """Of a histogram's latest observations."""
    return (
        f"{rate(f'{histogram}_sum', selector, by)} / "
        f"({rate(f'{histogram}_count', selector, by)} > 0)"
    )
