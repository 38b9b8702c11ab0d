#!/usr/bin/env python3
"""What Exhibitor needs of its share, tried by two NFSv4 clients that know nothing of each other.
Usage: shared_files.py SERVER EXPORT locks|configuration

Exhibitor's members share one properties file. Each takes an exclusive lock on it before it reads or writes, writes by
truncating it in place, and takes its modification time for its version. A member that wants to change the configuration
makes a lock file beside it, and lists the folder to see whose is the oldest."""
import ctypes
import ctypes.util
import os
import sys
import time

LIBRARIES = [ctypes.util.find_library("nfs")] + [f"libnfs.so.{number}" for number in (13, 14, 15)]
TRY_LOCK, UNLOCK = 1, 2
GRACE_LIMIT = 900


def library():
    for name in filter(None, LIBRARIES):
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    sys.exit("there is no libnfs")


nfs = library()
nfs.nfs_init_context.restype = ctypes.c_void_p
nfs.nfs_get_error.restype = ctypes.c_char_p
pointer, text, integer, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint64
for name, arguments in {
    "get_error": [],
    "destroy_context": [],
    "set_version": [integer],
    "mount": [text, text],
    "open": [text, integer, ctypes.POINTER(pointer)],
    "creat": [text, integer, ctypes.POINTER(pointer)],
    "close": [pointer],
    "read": [pointer, size, text],
    "write": [pointer, size, text],
    "lockf": [pointer, integer, size],
    "stat64": [text, ctypes.POINTER(size)],
    "truncate": [text, size],
    "rename": [text, text],
    "unlink": [text],
    "opendir": [text, ctypes.POINTER(pointer)],
    "readdir": [pointer],
    "closedir": [pointer],
    "nfs4_set_client_name": [text],
}.items():
    getattr(nfs, name if name.startswith("nfs4") else "nfs_" + name).argtypes = [pointer, *arguments]


class Entry(ctypes.Structure):
    _fields_ = [("next", ctypes.c_void_p), ("name", ctypes.c_char_p)]


nfs.nfs_readdir.restype = ctypes.POINTER(Entry)


class Client:
    """One host that has mounted the share."""

    count = 0

    def __init__(self, version=4):
        Client.count += 1
        self.context = pointer(nfs.nfs_init_context())
        nfs.nfs_set_version(self.context, version)
        nfs.nfs4_set_client_name(self.context, b"client-%d-%d" % (os.getpid(), Client.count))
        self.ok(nfs.nfs_mount(self.context, server.encode(), export.encode()), "mounting")

    def error(self):
        return (nfs.nfs_get_error(self.context) or b"").decode()

    def ok(self, code, what):
        if code < 0:
            sys.exit(f"{what}: {self.error()}")
        return code

    def open(self, path, flags=os.O_RDWR):
        file = pointer()
        self.ok(nfs.nfs_open(self.context, path, flags, ctypes.byref(file)), f"opening {path.decode()}")
        return file

    def close(self, file):
        self.ok(nfs.nfs_close(self.context, file), "closing")

    def write(self, path, content):
        file = self.open(path)
        written = self.ok(nfs.nfs_write(self.context, file, len(content), content), "writing")
        self.close(file)
        if written != len(content):
            sys.exit(f"{written} bytes written of {len(content)}")

    def read(self, path):
        file, buffer = self.open(path, os.O_RDONLY), ctypes.create_string_buffer(65536)
        count = self.ok(nfs.nfs_read(self.context, file, len(buffer), buffer), "reading")
        self.close(file)
        return buffer.raw[:count]

    def truncate(self, path):
        self.ok(nfs.nfs_truncate(self.context, path, 0), "truncating")

    def rename(self, old, new):
        self.ok(nfs.nfs_rename(self.context, old, new), "renaming")

    def unlink(self, path):
        self.ok(nfs.nfs_unlink(self.context, path), "deleting")

    def version(self, path):
        """Modification time in milliseconds, what Java's File.lastModified gives."""
        fields = (size * 32)()
        self.ok(nfs.nfs_stat64(self.context, path, fields), "looking")
        return fields[11] * 1000 + fields[14] // 1_000_000

    def names(self):
        folder, found = pointer(), set()
        self.ok(nfs.nfs_opendir(self.context, b"/", ctypes.byref(folder)), "listing")
        while entry := nfs.nfs_readdir(self.context, folder):
            found.add(entry.contents.name)
        nfs.nfs_closedir(self.context, folder)
        return found

    def lock(self, file):
        # One byte: a length of 0 does not mean "to the end" in NFSv4.
        return nfs.nfs_lockf(self.context, file, TRY_LOCK, 1)

    def unlock(self, file):
        self.ok(nfs.nfs_lockf(self.context, file, UNLOCK, 1), "unlocking")


def create(path, content):
    """Makes a file, by NFSv3: libnfs's NFSv4 makes one without a mode, which nobody can open."""
    client, file = Client(3), pointer()
    client.ok(nfs.nfs_creat(client.context, path, 0o664, ctypes.byref(file)), f"creating {path.decode()}")
    client.ok(nfs.nfs_write(client.context, file, len(content), content), "writing")
    client.close(file)


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, expected {wanted!r}")


def locks():
    path = b"/locked"
    create(path, b"1")
    begin = time.monotonic()
    while True:
        # For some time after its start the server refuses locks, so that clients of before can take theirs back; the
        # kernel's client waits by itself. A new client each time: libnfs repeats the number of a refused call.
        holder = Client()
        held = holder.open(path)
        if holder.lock(held) == 0:
            break
        if "NFS4ERR_GRACE" not in holder.error() or time.monotonic() - begin > GRACE_LIMIT:
            sys.exit("the first lock: " + holder.error())
        time.sleep(1)
    print(f"waited {time.monotonic() - begin:.0f} s for the end of the grace period")
    other = Client()
    if other.lock(other.open(path)) == 0:
        sys.exit("two clients hold the lock")
    if "NFS4ERR_DENIED" not in other.error():
        sys.exit("the second lock: " + other.error())
    holder.unlock(held)
    later = Client()
    file = later.open(path)
    later.ok(later.lock(file), "locking what was unlocked")
    later.unlock(file)


def configuration():
    one, two = Client(), Client()
    path, new = b"/configuration", b"/configuration.new"
    first, second, third = b"servers=" + b"1:198.18.0.1," * 200, b"servers=\n", b"servers=3\n"
    create(path, first)
    expect(two.read(path), first, "what the other wrote")
    versions = [two.version(path)]
    time.sleep(0.05)
    one.truncate(path)
    expect(two.read(path), b"", "what the other truncated")
    one.write(path, second)
    expect(two.read(path), second, "what the other wrote after truncating")
    versions.append(two.version(path))
    time.sleep(0.05)
    create(new, third)
    one.rename(new, path)
    expect(two.read(path), third, "what the other put in its place")
    expect(new in two.names(), False, "the old name of what was renamed")
    versions.append(two.version(path))
    if not versions[0] < versions[1] < versions[2]:
        sys.exit(f"versions do not rise: {versions}")
    expect([one.version(path)], versions[2:], "the version as the writer sees it")
    lock = b"exhibitor-lock-1700000000000_1"
    create(b"/" + lock, b"198.18.0.1")
    expect(lock in two.names(), True, "the other's lock file")
    two.unlink(b"/" + lock)
    expect(lock in one.names(), False, "a lock file that the other deleted")


server, export = sys.argv[1:3]
{"locks": locks, "configuration": configuration}[sys.argv[3]]()
