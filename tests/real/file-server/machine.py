#!/usr/bin/env python3
"""Does something to the running virtual machine, over the control socket of QEMU.
Usage: machine.py SOCKET plug FILE | unplug | grow BYTES | power-button

The disk is what a persistent disk with the deviceName `data` shows to SCSI INQUIRY on Google Cloud."""
import json
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.settimeout(1200)
connection.connect(sys.argv[1])
lines = connection.makefile("rw")
lines.readline()


def call(command, **arguments):
    print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
    while "return" not in (answer := json.loads(lines.readline())):
        if "error" in answer:
            sys.exit(f"{command}: {answer['error']['desc']}")


def wait_for(event):
    while json.loads(lines.readline()).get("event") != event:
        pass


call("qmp_capabilities")
match sys.argv[2:]:
    case ["plug", file]:
        call("blockdev-add", **{"driver": "raw", "node-name": "data", "file": {"driver": "file", "filename": file}})
        inquiry = {"vendor": "Google", "product": "PersistentDisk", "device_id": "data"}
        call("device_add", driver="scsi-hd", bus="scsi.0", id="data", drive="data", **inquiry)
    case ["unplug"]:
        call("device_del", id="data")
        wait_for("DEVICE_DELETED")
        call("blockdev-del", **{"node-name": "data"})
    case ["grow", size]:
        call("block_resize", **{"node-name": "data", "size": int(size)})
    case ["power-button"]:
        call("system_powerdown")
    case _:
        sys.exit(__doc__)
