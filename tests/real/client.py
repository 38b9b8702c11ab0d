#!/usr/bin/env python3
"""A client of an ensemble, by the library kazoo.

usage: client.py write HOST:PORT FILE      writes until it is terminated; FILE gets the name of every write that was
                                           acknowledged; prints how many there were and the longest time without one, on
                                           USR1 since the last such line. Ends with an error when a read of its session misses
                                           what was acknowledged to it, a version is not the one it made, or its ephemeral
                                           znode is gone while the session lives
       client.py verify FILE HOST:PORT...  reads each member by itself: every acknowledged write has to be there, and all
                                           members have to hold the same
"""

import logging
import signal
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError
from kazoo.retry import KazooRetry

ROOT = "/written"
COUNTER = "/counter"
ALIVE = "/alive"
# Every write is retried for as long as the test lets it: only what is acknowledged counts.
FOR_EVER = KazooRetry(max_tries=-1, delay=0.1, max_delay=1, ignore_expire=True)


def connect(hosts):
    client = KazooClient(hosts=hosts, timeout=10, connection_retry=FOR_EVER, command_retry=FOR_EVER)
    client.start(timeout=600)
    return client


def ensure(client, path):
    try:
        client.retry(client.create, path)
    except NodeExistsError:
        pass  # An earlier try was carried out and its answer lost.


def set_to(client, number):
    """Sets the counter on the condition that it holds the number before."""
    version = number - 1
    try:
        client.retry(client.set, COUNTER, str(number).encode(), version=version)
    except BadVersionError:
        # An earlier try was carried out and its answer lost, or somebody's write is lost: what stands there tells.
        value, stat = client.retry(client.get, COUNTER)
        if (value, stat.version) != (str(number).encode(), number):
            sys.exit(f"the counter is {value} in version {stat.version}, after {number - 1} acknowledged changes")


def write(hosts, path):
    ended, asked = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    client = connect(hosts)
    for name in (ROOT, COUNTER):
        ensure(client, name)
    session = client.client_id[0]
    client.retry(client.create, ALIVE, ephemeral=True)
    written, longest, overall, last = 0, 0.0, 0.0, time.monotonic()
    with open(path, "w") as acknowledged:
        while not ended.is_set():
            name = f"{written:06d}"
            ensure(client, f"{ROOT}/{name}")
            now = time.monotonic()
            longest, last, written = max(longest, now - last), now, written + 1
            overall = max(overall, longest)
            print(name, file=acknowledged, flush=True)
            if client.retry(client.exists, f"{ROOT}/{name}") is None:
                sys.exit(f"{name} was acknowledged, and the same session does not see it")
            set_to(client, written)
            if client.retry(client.exists, ALIVE) is None:
                if client.client_id[0] == session:
                    sys.exit("the ephemeral znode is gone, and its session lives")
                session = client.client_id[0]
                print("the session expired", flush=True)
                client.retry(client.create, ALIVE, ephemeral=True)
            if asked.is_set():
                asked.clear()
                print(f"{written} writes, longest gap {longest:.1f} s", flush=True)
                longest = 0.0
            time.sleep(0.1)
    client.stop()
    print(f"{written} writes in all, longest gap {overall:.1f} s")


def verify(path, *members):
    acknowledged = set(open(path).read().split())
    held, counters = {}, {}
    for member in members:
        client = connect(member)
        client.sync(ROOT)
        held[member] = set(client.get_children(ROOT))
        value, stat = client.get(COUNTER)
        counters[member] = (value, stat.version)
        client.stop()
        missing = sorted(acknowledged - held[member])
        if missing:
            sys.exit(f"{member} lacks {len(missing)} acknowledged writes, the first is {missing[0]}")
    if len({frozenset(each) for each in held.values()}) != 1:
        sys.exit(f"the members differ: {({member: len(each) for member, each in held.items()})}")
    if len(set(counters.values())) != 1 or int(value) != stat.version:
        sys.exit(f"the members' counters differ: {counters}")
    print(f"{len(acknowledged)} writes on each of {len(members)} members")


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    match sys.argv[1:]:
        case ["write", hosts, path]:
            write(hosts, path)
        case ["verify", path, *members] if members:
            verify(path, *members)
        case _:
            sys.exit(__doc__)
