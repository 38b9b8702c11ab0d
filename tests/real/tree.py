#!/usr/bin/env python3
"""A tree of znodes of every kind, by the library kazoo.

usage: tree.py make HOST:PORT     makes it
       tree.py storm HOST:PORT    writes beside it until it is terminated
       tree.py destroy HOST:PORT  deletes every znode but ZooKeeper's own
       tree.py read HOST:PORT     prints every znode but those: data in base64 and ACL
       tree.py next HOST:PORT     prints the name of the next sequential znode of the queue
"""

import base64
import json
import logging
import signal
import sys
import threading

from kazoo.client import KazooClient
from kazoo.security import ACL, Id, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, make_digest_acl

OWNER = make_digest_acl("owner", "secret", all=True)


def make(client):
    create = client.create
    create("/app", b"begin")
    create("/app/binary", bytes(range(256)))
    create("/app/large", bytes(range(251)) * 2000)
    create("/app/empty", b"", acl=READ_ACL_UNSAFE)
    create("/app/\N{SNOWMAN}", "Z\u00fcrich".encode())
    create("/app/closed", b"secret", acl=[OWNER])
    create("/app/closed/below", b"more", acl=[OWNER, ACL(1, Id("ip", "127.0.0.1"))])
    create("/app/closed/below/it", b"", acl=[OWNER])
    create("/app/queue", b"")
    for number in range(40):
        create("/app/queue/n-", b"%d" % number, sequence=True, acl=READ_ACL_UNSAFE if number % 2 else OPEN_ACL_UNSAFE)
    for number in range(30):
        client.delete("/app/queue/n-%010d" % number)
    client.set("/app", b"changed")
    client.set("/app", b"changed twice")


def storm(client):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    client.create("/storm", b"")
    print("storm", flush=True)
    written = 0
    while not ended.is_set():
        path = client.create("/storm/s-", b"%d" % written, sequence=True)
        client.set("/storm", b"%d" % written)
        if written % 3 == 0:
            client.delete(path)
        written += 1
    print(f"{written} rounds", flush=True)


def children(client, path="/"):
    """Paths below one, parents first, without ZooKeeper's own."""
    for name in sorted(client.get_children(path)):
        child = path.rstrip("/") + "/" + name
        if child != "/zookeeper":
            yield child
            yield from children(client, child)


def destroy(client):
    for path in reversed(list(children(client))):
        client.delete(path)


def read(client):
    tree = {}
    for path in children(client):
        data, _ = client.get(path)
        acls, _ = client.get_acls(path)
        acl = [{"perms": one.perms, "scheme": one.id.scheme, "id": one.id.id} for one in acls]
        tree[path] = {"data": base64.b64encode(data).decode(), "acl": acl}
    print(json.dumps(tree, sort_keys=True))


def next_one(client):
    path = client.create("/app/queue/n-", b"", sequence=True)
    client.delete(path)
    print(path)


def main():
    logging.disable(logging.WARNING)
    commands = {"make": make, "storm": storm, "destroy": destroy, "read": read, "next": next_one}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    client = KazooClient(hosts=sys.argv[2], timeout=10, auth_data=[("digest", "owner:secret")])
    client.start(timeout=600)
    commands[sys.argv[1]](client)
    client.stop()


if __name__ == "__main__":
    main()
