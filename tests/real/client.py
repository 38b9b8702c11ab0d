#!/usr/bin/env python3
"""A client of an ensemble, by the library kazoo.

usage: client.py write HOST:PORT FILE      writes until it is terminated; FILE gets the name of every write that was
                                           acknowledged; prints how many there were and the longest time without one
       client.py verify FILE HOST:PORT...  reads each member by itself: every acknowledged write has to be there, and all
                                           members have to hold the same
"""

import logging
import signal
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.retry import KazooRetry

ROOT = "/written"
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


def write(hosts, path):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    client = connect(hosts)
    ensure(client, ROOT)
    written, longest, last = 0, 0.0, time.monotonic()
    with open(path, "w") as acknowledged:
        while not ended.is_set():
            name = f"{written:06d}"
            ensure(client, f"{ROOT}/{name}")
            now = time.monotonic()
            longest, last, written = max(longest, now - last), now, written + 1
            print(name, file=acknowledged, flush=True)
            time.sleep(0.1)
    client.stop()
    print(f"{written} writes, longest gap {longest:.1f} s")


def verify(path, *members):
    acknowledged = set(open(path).read().split())
    held = {}
    for member in members:
        client = connect(member)
        client.sync(ROOT)
        held[member] = set(client.get_children(ROOT))
        client.stop()
        missing = sorted(acknowledged - held[member])
        if missing:
            sys.exit(f"{member} lacks {len(missing)} acknowledged writes, the first is {missing[0]}")
    if len({frozenset(each) for each in held.values()}) != 1:
        sys.exit(f"the members differ: {({member: len(each) for member, each in held.items()})}")
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
