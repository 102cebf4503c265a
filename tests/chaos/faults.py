"""The faults: each knows how to begin, how to end, and what it is done to."""

import dataclasses
import typing

# What fills Redis: values until it takes no more.
FILL = """
local value = string.rep('x', 65536)
for i = 1, 4096 do
  local reply = redis.pcall('SET', 'filler:' .. i, value)
  if type(reply) == 'table' and reply.err then return i end
end
return redis.error_reply('its memory is not full')
"""
UNFILL = "for i = 1, 4096 do redis.call('DEL', 'filler:' .. i) end"


@dataclasses.dataclass
class Fault:
    kind: str  # of which each is done three times
    target: str
    begin: typing.Callable
    end: typing.Callable
    kills: str = ""  # address of a gateway that dies by SIGKILL: what is in flight there is lost


def _of_process(kind, process, kills=""):
    begin, end = {
        "kill": (process.kill, process.restart),
        "stop": (process.stop, process.restart),
        "pause": (process.pause, process.go_on),
    }[kind.split()[0]]
    return Fault(kind, process.name, begin, end, kills)


def _cut(kind, host):
    return Fault(kind, host.name.partition("-")[2], host.cut, host.mend)


def all_faults(platform, rounds):
    """In rounds, so that a kind comes back to a platform that has seen the others. Neighbours are of
    different kinds: the two replicas of a kind must not be away at once."""
    faults = []
    names = ["small", "medium", "large"]
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
            Fault("fill redis", "redis", lambda: platform.redis.ask("EVAL", FILL, 0),
                  lambda: platform.redis.ask("EVAL", UNFILL, 0)),
            _cut("cut experts", platform.hosts[f"experts-{number}"]),
            _of_process("pause gateway", gateway),
            _of_process("pause redis", platform.redis),
            _of_process("pause router", router),
        ]
    return faults
