#!/usr/bin/env python3
"""Whether two versions of the services work together: see --help."""

import argparse
import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import baseline  # noqa: E402
from fleet import Fleet, scrape  # noqa: E402
from mixes import ACTUAL_J, BUDGETS, SETTLE_S, VERSIONS, Mixes, Tool, poll  # noqa: E402
from rolling import Rolling  # noqa: E402

SKIPPED = 77
# A hard budget may be left over by what was leased where nobody asked any more.
LEAST_SPENT = 0.8
# Where a gateway asked a second router as the first one was leaving, or slow, both may have run it.
MOST_SPENT_TWICE = 1.02
# Requests that may be under way as a budget comes to its end.
MOST_AT_THE_END = 32
# All of the run has to be in one window of its budgets. Every period that they can have ends with
# the day (UTC), at the latest.
WHOLE_S = 600


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Builds gateway, router and expert service of the commit that "
        "tests/compat/BASELINE names (release preset, under build/compat/) and runs them with the "
        "present ones over one Redis: all eight mixes of old and new; hard budgets that all "
        "routers share, or those of a version where the keys of the two have different layouts; "
        "answers that gateways of one version keep and those of the other read; budgets set at a "
        "router of one version and read at the others that share them; and a platform of two of "
        "each whose services are replaced old by new, and new by old again, under an open-loop "
        "load. Exit code 1 where a request failed, where a budget was exceeded or any version "
        "tells another sum than what the experts ran, where an answer differs, where a "
        "service did not end with 0; 77 where the history lacks the commit, or the budgets' day, "
        f"which is UTC's, has less than {WHOLE_S} s left.")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin",
                        help="folder of the present binaries")
    parser.add_argument("--baseline", help="another commit than BASELINE's, 40 hex digits")
    parser.add_argument("--old_bin", type=pathlib.Path,
                        help="folder of the old services, instead of building them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the build")
    parser.add_argument("--load_s", type=float, default=60, help="load of the rolling replacement")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--keep", action="store_true", help="keep logs and the requests' files")
    return parser.parse_args()


def left_of_day_s():
    return 86400 - time.time() % 86400


def await_spent(tool, routers, pool, least, most, wrong):
    """What each router tells of the pool's budget, once all tell the same from `least` to `most`,
    or in the end."""
    told = {}

    def all_tell():
        for router in routers:
            told[router.name] = tool.budgets(router, pool)[0]["spent"]
        same = max(told.values()) - min(told.values()) <= 1e-6 * most
        return same and least * (1 - 1e-6) <= min(told.values()) <= most * (1 + 1e-6) or told

    note(wrong, all_tell, f"{pool}: every router tells the same, {least:g} to {most:g}, spent")
    return told


def note(wrong, look, what):
    """Waits until `look` is true; appended to `wrong` where it does not become so."""
    try:
        poll(look, what, SETTLE_S)
    except RuntimeError as why:
        wrong.append(str(why))


def check_mixes(mixes, tool, wrong):
    """Every chain answers, and all versions keep the same budgets."""
    rows = mixes.spend()
    for row in rows:
        others = {code: count for code, count in row["codes"].items()
                  if code not in ("OK", "RESOURCE_EXHAUSTED")}
        mix = (f"gateway {row['gateway']}, router {row['router']}, expert {row['expert']}: "
               f"{row['pool']}")
        if others:
            wrong.append(f"{mix}: {others}")
        if not row["codes"].get("OK"):
            wrong.append(f"{mix}: no request was answered")
    budgets = []
    for pool, (resource, amount) in BUDGETS.items():
        unit = 1 if resource == "REQUESTS" else ACTUAL_J
        answered = 0
        for versions in mixes.sharing():
            budget = {"pool": pool, "routers": versions, "amount": amount}
            budget["answered"] = sum(row["codes"].get("OK", 0) for row in rows
                                     if row["pool"] == pool and row["router"] in versions)
            answered += budget["answered"]
            budget["spent"] = budget["answered"] * unit
            budget["told"] = await_spent(tool, mixes.routers_of(versions), pool, budget["spent"],
                                         budget["spent"], wrong)
            budgets.append(budget)
            # What runs in the end may take more joules than was reserved for it.
            beyond = 0 if resource == "REQUESTS" else MOST_AT_THE_END * (unit - 1)
            if not LEAST_SPENT * amount <= budget["spent"] <= amount + beyond:
                wrong.append(f"{pool}: routers ({', '.join(versions)}) spent {budget['spent']:g}, "
                             f"wanted {LEAST_SPENT * amount:g} to {amount + beyond:g}")
        if answered != (ran := mixes.ran(pool)):
            wrong.append(f"{pool}: {answered} answers, experts ran {ran:g}")
    return rows, budgets


def check_settings(mixes, tool, wrong):
    """A budget that is set at a router of one version is read at all that share it, and at no
    other."""
    rows = []
    sharing = {version: versions for versions in mixes.sharing() for version in versions}
    for number, version in enumerate(VERSIONS):
        setter = mixes.routers[version, version]
        told = {router: [1000 + number] if of in sharing[version] else []
                for (of, _), router in mixes.routers.items()}
        tenant, amount = f"tenant-{version}", 1000 + number
        tool.ask("budget", "set", "--router", setter.grpc, "--pool", "counted", "--tenant", tenant,
                 "--resource", "requests", "--amount", amount, "--per", "day", "--hard")

        def settings_read(tenant=tenant):
            return [[one["budget"]["amount"] for one in tool.budgets(router, "counted")
                     if one["budget"]["tenant"] == tenant and one["set_by_call"]]
                    for router in told]

        def all_have(told=told, settings_read=settings_read):
            seen = settings_read()
            return seen == list(told.values()) or seen

        note(wrong, all_have, f"the budget that a router ({version}) was told is read at all "
             f"({', '.join(sharing[version])})")
        rows.append({"set_at": version, "read_at": sum(of == [amount] for of in settings_read())})
    return rows


def stored(gateway, result):
    return scrape(gateway.metrics).sum("penstock_gateway_cache_store_calls_total", result=result)


def how_answered(answer):
    return {"hit": "read", "miss": "apart"}.get(answer["parameters"].get("penstock_cache"), "?")


def check_cache(mixes, tool, wrong):
    """Answers that one gateway puts into Redis, asked for at another; by versions of both."""
    router = mixes.routers["new", "new"]
    writers = {version: mixes.gateways[version, "new", "new"] for version in VERSIONS}
    readers = {version: mixes.gateway(version, [router], f"{version}-reader")
               for version in VERSIONS}
    # A gateway learns in its own time which pools may be kept.
    for number, gateway in enumerate([*writers.values(), *readers.values()]):
        row = [-1.0, 0.0, 0.0, float(number)]
        poll(lambda g=gateway, row=row: how_answered(tool.infer(g, "kept", row)) == "read"
             or "no hit yet", f"{gateway.name} keeps answers", SETTLE_S)
    rows = []
    for number, (wrote, read) in enumerate((w, r) for w in VERSIONS for r in VERSIONS):
        row = [1.0, 2.0, 3.0, float(number)]
        written = stored(writers[wrote], "written")
        first = tool.infer(writers[wrote], "kept", row)
        note(wrong,
             lambda w=writers[wrote], was=written: stored(w, "written") > was or "not written",
             f"an answer of a gateway ({wrote}) is in Redis")
        failed = stored(readers[read], "read_failed")
        second = tool.infer(readers[read], "kept", row)
        failed = stored(readers[read], "read_failed") - failed
        how = how_answered(second)
        rows.append({"wrote": wrote, "read": read, "answers": how})
        if first["outputs"] != second["outputs"]:
            wrong.append(f"cache: a gateway ({read}) answers {second['outputs']}, one ({wrote}) "
                         f"{first['outputs']}")
        if failed or how == "?" or (wrote == read and how != "read"):
            wrong.append(f"cache: a gateway ({wrote}) wrote, one ({read}): {how}, {failed:g} reads "
                         "failed")
    return rows


def check_rolling(rolling, tool, load_s, shared, wrong):
    rolling.start_loads(load_s)
    steps = rolling.replace_all("new") + rolling.replace_all("old")
    rows = []
    for pool, requests in rolling.requests().items():
        failed = [request for request in requests if request["code"] != "OK"]
        slowest = max(request["ms"] for request in requests)
        rows.append({"pool": pool, "requests": len(requests), "failed": len(failed),
                     "slowest_ms": round(slowest, 1)})
        if failed:
            wrong.append(f"rolling: {pool}: {len(failed)} of {len(requests)} failed, the first "
                         f"with {failed[0]}")
    answered = rows[0]["requests"]
    # Of another layout, the routers that are back in the end know nothing of what came between.
    rows[0]["spent"] = await_spent(tool, rolling.routers, rows[0]["pool"],
                                   answered if shared else 1, answered * MOST_SPENT_TWICE, wrong)
    return steps, rows


def show(figures):
    print(f"{'gateway':8} {'router':7} {'expert':7} {'pool':9} {'answered':>8} {'refused':>8}")
    for row in figures["mixes"]:
        print(f"{row['gateway']:8} {row['router']:7} {row['expert']:7} {row['pool']:9} "
              f"{row['codes'].get('OK', 0):8d} {row['codes'].get('RESOURCE_EXHAUSTED', 0):8d}")
    for row in figures["budgets"]:
        print(f"budget of {row['pool']} ({', '.join(row['routers'])}): {row['amount']:g}; "
              f"{row['answered']} answers, spent {row['spent']:g}; told by "
              + ", ".join(f"{of} {one:g}" for of, one in row["told"].items()))
    for row in figures["settings"]:
        print(f"a budget set at a router {row['set_at']}: read at {row['read_at']} routers")
    for row in figures["cache"]:
        print(f"a gateway {row['wrote']} keeps an answer, one {row['read']}: {row['answers']}")
    for row in figures["steps"]:
        print(f"{row['service']:20} to {row['to']}: {row['seconds']:6.2f} s")
    for row in figures["rolling"]:
        print(f"rolling, {row['pool']}: {row['requests']} requests, {row['failed']} failed, "
              f"slowest {row['slowest_ms']} ms" + "".join(
                  f"; {of} tells {spent:g} spent" for of, spent in row.get("spent", {}).items()))
    print("keys in Redis: " + ", ".join(f"{kind} {count}" for kind, count in
                                        sorted(figures["keys"].items())))


def main():
    options = parse_arguments()
    commit = options.baseline or baseline.read_baseline(ROOT / "tests/compat/BASELINE")
    began = time.monotonic()
    try:
        old = options.old_bin or baseline.build(ROOT, commit, options.jobs)
    except baseline.NoHistory as why:
        print(f"skipped: {why}")
        return SKIPPED
    built_s = time.monotonic() - began
    binaries = {"old": old.resolve(), "new": options.bin.resolve()}
    tool = Tool(binaries["new"] / "penstock")
    wrong, figures = [], {"old": str(options.old_bin or commit), "build_s": round(built_s, 1)}
    if (left := left_of_day_s()) < WHOLE_S:
        print(f"skipped: the budgets' day (UTC) ends in {left:.0f} s, and the run takes up to "
              f"{WHOLE_S} s of one day: run it again after midnight UTC")
        return SKIPPED
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        mixes = Mixes(fleet, binaries)
        figures["mixes"], figures["budgets"] = check_mixes(mixes, tool, wrong)
        figures["settings"] = check_settings(mixes, tool, wrong)
        figures["cache"] = check_cache(mixes, tool, wrong)
        figures["keys"] = mixes.key_kinds()
        shared = len(mixes.sharing()) == 1
        wrong += fleet.end()
        rolling = Rolling(fleet, binaries)
        services = [*rolling.experts, *rolling.routers, *rolling.gateways]
        figures["steps"], figures["rolling"] = check_rolling(rolling, tool, options.load_s,
                                                              shared, wrong)
        wrong += fleet.end(services)
        if wrong:
            fleet.keep()
    figures["wrong"], figures["load_average"] = wrong, os.getloadavg()[0]
    show(figures)
    print(f"old: {figures['old']}, built in {figures['build_s']} s; all of it took "
          f"{time.monotonic() - began:.0f} s; load average {figures['load_average']:.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for text in wrong:
        print(f"error: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
