"""``python as_fork.py SOCKET [-u] -c CODE`` runs the code as a fork of the process that listens there.

It is what pytest-xdist starts in the place of ``python`` for its processes; only the standard library is loaded.
"""

import json
import os
import socket
import sys

told = socket.socket(socket.AF_UNIX)
told.connect(sys.argv[1])
words = [sys.executable, *(word for word in sys.argv[2:] if word != "-u")]
asked = json.dumps([words, dict(os.environ), os.getcwd()]).encode()
socket.send_fds(told, [len(asked).to_bytes(8, "big")], [0, 1, 2])
told.sendall(asked)
with told.makefile("rb") as answers:
    pid, code = (int.from_bytes(answers.read(8), "big") for _ in range(2))
os._exit((code - 256) & 0xFF)
