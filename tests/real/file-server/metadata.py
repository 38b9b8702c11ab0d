#!/usr/bin/env python3
"""A metadata server as a Google VM sees it: attributes from one folder, guest attributes into another, and
wait_for_change with etags. Usage: metadata.py ADDRESS ATTRIBUTES GUEST_ATTRIBUTES"""
import hashlib
import http.server
import json
import os
import pathlib
import sys
import time
import urllib.parse

ROOT = "/computeMetadata/v1/"
GUEST = ROOT + "instance/guest-attributes/"
address, attributes, guest_attributes = sys.argv[1], *map(pathlib.Path, sys.argv[2:4])


def tree():
    items = {file.name: file.read_text() for file in attributes.iterdir() if not file.name.startswith(".")}
    instance = {
        "attributes": items,
        "id": 1,
        "name": "fileserver",
        "hostname": "fileserver.c.test.internal",
        "zone": "projects/1/zones/us-east1-d",
        "service-accounts": {},
    }
    return {"instance": instance, "project": {"project-id": "test", "numeric-project-id": 1, "attributes": {}}}


def find(path):
    node = tree()
    for part in filter(None, path.split("/")):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node


def listing(node):
    return "".join(key + ("/" if isinstance(value, dict) else "") + "\n" for key, value in node.items())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, code, body=b"", kind="application/text", etag=None):
        self.send_response(code)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", kind)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/":
            return self.reply(200, b"computeMetadata/\n")
        if not url.path.startswith(ROOT):
            return self.reply(404)
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.reply(403, b"Missing Metadata-Flavor:Google header.")
        end = time.monotonic() + float(query.get("timeout_sec", 3600))
        wait = query.get("wait_for_change", "false").lower() == "true"
        while True:
            node = find(url.path[len(ROOT) :])
            if node is None:
                return self.reply(404)
            etag = hashlib.sha256(json.dumps(node).encode()).hexdigest()[:16]
            unchanged = query.get("last_etag", etag + "x") == etag
            if not wait or not unchanged or time.monotonic() > end:
                break
            time.sleep(0.3)
        tree_wanted = isinstance(node, dict) and query.get("recursive", "false").lower() == "true"
        if tree_wanted or query.get("alt") == "json":
            return self.reply(200, json.dumps(node).encode(), "application/json", etag)
        text = listing(node) if isinstance(node, dict) else str(node)
        return self.reply(200, text.encode(), etag=etag)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Metadata-Flavor") != "Google" or not self.path.startswith(GUEST):
            return self.reply(403)
        enabled = tree()["instance"]["attributes"].get("enable-guest-attributes", "")
        if enabled.strip().lower() != "true":
            return self.reply(403, b"Guest attributes endpoint access is disabled.")
        namespace, _, key = self.path[len(GUEST) :].partition("/")
        if not namespace or not key or "/" in key:
            return self.reply(400)
        folder = guest_attributes / namespace
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / ("." + key)
        new.write_bytes(body)
        os.replace(new, folder / key)
        return self.reply(200)

    def log_message(self, text, *values):
        print(f"{time.time():.1f}", text % values, file=sys.stderr, flush=True)


http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer((address, 80), Handler).serve_forever()
