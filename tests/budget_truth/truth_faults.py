"""What is done to the routers and to Redis while requests come, and what that lets them overspend."""

import shutil
import time

# A second after its store went, a router knows that; its rate stands still from then on.
KNOWN_S = 1
AWAY_S = 4
RECOVERY_S = 15


class Faults:
    """Every fault notes what it allows each pool to take beyond its cap, in the pool's resource."""

    def __init__(self, platform):
        self.platform = platform
        self.emptied = self._zeros()  # leases that were out when the store forgot them
        self.outage = self._zeros()  # seconds without the store times the rate leased at
        self.unsure = self._zeros()  # of that, what was taken indeed
        self.outage_s = 0.0
        self.store_faults = []  # (began, ended)
        self.kills = []  # (when, address)
        self.wrong = []
        self.log = []

    def _zeros(self):
        return {pool.name: 0.0 for pool in self.platform.pools}

    def say(self, text):
        self.log.append({"at": time.time(), "what": text})
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def kill_routers(self, *numbers):
        """SIGKILL, together, and again at their addresses."""
        routers = [self.platform.routers[number] for number in numbers]
        for router in routers:
            if not router.running():  # its restart would make up for a crash
                raise RuntimeError(router.ended())
            self.kills.append((time.time(), router.grpc))
            router.kill()
        time.sleep(1)
        for router in routers:
            router.restart()
        self.say(f"killed and restarted: {', '.join(router.name for router in routers)}")

    def _note_leases(self):
        for pool in self.platform.pools:
            self.emptied[pool.name] += self.platform.leases_out(pool)

    def flush(self):
        began = time.time()
        self._note_leases()
        self.platform.redis.ask("FLUSHALL")
        self.store_faults.append((began, time.time()))
        self.say("Redis emptied: FLUSHALL")

    def restart_redis(self, *, with_file):
        platform, redis = self.platform, self.platform.redis
        if not with_file:
            self._note_leases()
        unsure = {pool.name: sum(platform.shared("unsure_total", pool)) for pool in platform.pools}
        began = time.time()
        if with_file:
            redis.stop()
        else:
            redis.kill()
            shutil.rmtree(redis.folder / "appendonlydir", ignore_errors=True)
        time.sleep(KNOWN_S)
        rates = {pool.name: sum(platform.shared("rate", pool)) for pool in platform.pools}
        time.sleep(AWAY_S - KNOWN_S)
        redis.restart()
        while any(sum(platform.shared("store_down", pool)) for pool in platform.pools):
            if time.time() - began > AWAY_S + RECOVERY_S:
                self.wrong.append(f"routers did not use the store within {RECOVERY_S} s of its return")
                break
            time.sleep(0.1)
        away_s = time.time() - began
        self.outage_s += away_s
        self.store_faults.append((began, began + away_s))
        for pool in platform.pools:
            self.outage[pool.name] += rates[pool.name] * away_s
            self.unsure[pool.name] += (sum(platform.shared("unsure_total", pool))
                                       - unsure[pool.name])
        kept = "with its file" if with_file else "without its file"
        self.say(f"Redis restarted {kept}, used by all routers again after {away_s:.1f} s")


class Burst:
    """Requests of every pool at once, as many as the routers take."""

    def __init__(self, platform, requests):
        self.platform, self.requests = platform, requests
        self.loads = []

    def start(self):
        for pool in self.platform.pools:
            self.loads.append((pool, self.platform.start_load(
                pool, name="burst", concurrency=30, duration_s=60, seed=len(self.loads) + 100,
                arguments=["--count", self.requests])))


def timeline(faults, burst):
    """(seconds after the load began, what then). Caps of the hour are reached at about 0.7 of it."""
    return [
        (8, burst.start),
        (9, lambda: faults.kill_routers(1)),
        (25, lambda: faults.restart_redis(with_file=True)),
        (40, burst.start),
        (41, lambda: faults.kill_routers(2, 3)),
        (58, burst.start),
        (59, faults.flush),
        (72, lambda: faults.restart_redis(with_file=False)),
        (92, lambda: faults.kill_routers(0)),
        (104, burst.start),
        # The hour's caps are spent by now: what was forgotten must not be granted anew.
        (136, faults.flush),
        (142, burst.start),
        (143, lambda: faults.kill_routers(3)),
        (150, lambda: faults.restart_redis(with_file=False)),
    ]
