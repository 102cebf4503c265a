"""The faults: each knows how to begin, how to end, and what it is done to."""

import dataclasses
import typing

# What fills Redis: values of one size until one is refused, then smaller ones, since a large one is
# refused also where only what it takes on its way in leaves no room.
FILLERS = (1 << 20, 64 << 10, 4 << 10, 256, 16)
LAST_FILLER = 4 << 10
# Of each size; more than the memory that Redis has, or than the size before left.
MOST_FILLERS = 128


@dataclasses.dataclass
class Fault:
    kind: str  # of which each is done three times
    target: str
    begin: typing.Callable
    end: typing.Callable
    kills: str = ""  # address of a gateway that dies by SIGKILL: what is in flight there is lost


def _of_process(kind, process, kills=""):
    def begin():
        # Its restart would make up for a crash.
        if not process.running():
            raise RuntimeError(process.ended())
        act()

    def stop():
        code = process.stop()
        if code != 0:
            raise RuntimeError(f"{process.name} ended with {code} when it was told to stop:\n"
                               f"{process.log_end()}")

    act, end = {
        "kill": (process.kill, process.restart),
        "stop": (stop, process.restart),
        "pause": (process.pause, process.go_on),
    }[kind.split()[0]]
    return Fault(kind, process.name, begin, end, kills)


class _Full:
    """Of a Redis that takes no writes."""

    def __init__(self, redis):
        self.redis = redis
        self.keys = []

    def begin(self):
        for size in FILLERS:
            self._fill(size)
        # What the connection of these took is free by now.
        for _ in range(MOST_FILLERS):
            key = f"filler:{len(self.keys)}"
            try:
                self.redis.ask("SET", key, "x" * LAST_FILLER)
            except RuntimeError as why:
                if "OOM" not in str(why):
                    raise
                return
            self.keys.append(key)
        raise RuntimeError(f"{self.redis.name}: its memory is not full")

    def _fill(self, size):
        pairs = [(f"filler:{len(self.keys) + i}", "x" * size) for i in range(MOST_FILLERS)]
        count, refusal = self.redis.set_all(pairs)
        self.keys += [key for key, _ in pairs[:count]]
        if not refusal.startswith("-OOM"):
            raise RuntimeError(f"{self.redis.name} took {count} values of {size} bytes and then said "
                               f"'{refusal}', wanted a refusal for want of memory")

    def end(self):
        keys, self.keys = self.keys, []
        self.redis.ask("DEL", *keys)


def _cut(kind, host):
    return Fault(kind, host.name.partition("-")[2], host.cut, host.mend)


def all_faults(platform, rounds):
    """In rounds, so that a kind comes back to a platform that has seen the others. Neighbours are of
    different kinds: the two replicas of a kind must not be away at once."""
    faults = []
    names = ["small", "medium", "large"]
    full = _Full(platform.redis)
    for round_ in range(rounds):
        one = round_ % 2
        number = one + 1
        gateway, router = platform.gateways[one], platform.routers[one]
        expert = platform.experts[names[round_ % 3], number]
        faults += [
            _of_process("kill gateway", gateway, kills=gateway.grpc),
            _of_process("kill expert", expert),
            _of_process("kill router", router),
            _of_process("kill redis", platform.redis),
            _of_process("pause expert", platform.experts[names[(round_ + 1) % 3], number]),
            _cut("cut gateway", platform.hosts[f"gateway-{number}"]),
            _of_process("stop expert", platform.experts[names[(round_ + 2) % 3], 3 - number]),
            _of_process("stop router", router),
            _cut("cut redis", platform.hosts["redis"]),
            _of_process("stop gateway", gateway),
            _cut("cut router", platform.hosts[f"router-{number}"]),
            Fault("fill redis", "redis", full.begin, full.end),
            _cut("cut experts", platform.hosts[f"experts-{number}"]),
            _of_process("pause gateway", gateway),
            _of_process("pause redis", platform.redis),
            _of_process("pause router", router),
        ]
    return faults
