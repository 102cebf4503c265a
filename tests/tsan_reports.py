"""Prints the ThreadSanitizer reports that accuse our own code; exits 1 when there is one.

gRPC, protobuf and Abseil come without TSan's instrumentation: what orders their accesses is invisible, and
the inline code of their headers is accused by the hundred. A report is ours when each of its accesses, the
standard library's frames left out, was made from one of our files.
"""

import argparse
import collections
import pathlib
import re
import sys

ACCESS = re.compile(r"^  (?:Previous )?(?:atomic )?(?:read|write) of size", re.IGNORECASE)
FRAME = re.compile(r"^    #\d+ (?P<function>.*) (?P<place>\S+) \((?P<module>[^()]*)\)$")
STANDARD = re.compile(r"/include/c\+\+/|libsanitizer|libstdc\+\+")
OURS = re.compile(r"(?:^|/)(?:common|gateway|router_service|expert_service|cli|kernels)/\S+\.(?:cc|h):\d+")


def accesses(report):
    """The place that made each access: the first frame outside the standard library."""
    places = []
    looking = False
    for line in report:
        if ACCESS.match(line):
            looking = True
        elif not line.strip():
            looking = False
        elif looking and (frame := FRAME.match(line)):
            where = f"{frame['place']} {frame['module']}"
            if not STANDARD.search(where):
                places.append(frame["place"])
                looking = False
    return places


def reports(text):
    for report in text.split("WARNING: ThreadSanitizer: ")[1:]:
        yield report.split("==================")[0].splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, help="where TSAN_OPTIONS=log_path= put the reports")
    arguments = parser.parse_args()
    seen = 0
    ours = collections.OrderedDict()
    for log in sorted(arguments.directory.iterdir()):
        for report in reports(log.read_text(errors="replace")):
            seen += 1
            places = accesses(report)
            kind = re.split(r" \(pid=", report[0])[0]
            of_us = all(OURS.search(place) and "/include/" not in place for place in places)
            # A report without accesses is of a lock or a thread: shown whoever is to blame.
            if of_us:
                ours.setdefault((kind, *places), report)
    for report in ours.values():
        print("\n".join(report))
    print(f"{seen} reports, {len(ours)} of them different ones of ours")
    sys.exit(1 if ours else 0)


if __name__ == "__main__":
    main()
