"""Each Python process with this folder on its path, and each that it begins, lacks what Windows lacks.

``subprocess`` of this system keeps what it needs, and so do NumPy, torch and psutil, which are others on Windows; for
them, ``os`` keeps ``uname``, ``sysconf`` and ``register_at_fork``.
"""

import importlib.abc
import os
import select
import signal
import subprocess
import sys
import tempfile  # noqa: F401 - it takes what it needs from os when it is imported

MODULES = ("fcntl", "resource", "termios", "pwd", "grp", "pty", "tty")
OF_OS = (
    *("fork", "forkpty", "killpg", "getpgrp", "getpgid", "setpgid", "setsid", "getuid", "geteuid", "mkfifo"),
    *("pread", "pwrite", "readv", "writev", "set_blocking", "sched_getaffinity", "wait4"),
    *("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_ASYNC", "statvfs", "fchmod"),
)
ALLOWED = ("torch", "psutil", "subprocess", "selectors", "multiprocessing")


class Missing(importlib.abc.MetaPathFinder):
    """Raise ImportError for the modules, unless a package that is another one on Windows asks."""

    def find_spec(self, name, *_):
        if name in MODULES and not asked_by_allowed():
            raise ImportError(f"No module named {name!r}", name=name)


def asked_by_allowed():
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib"):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ALLOWED


for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
for name in OF_OS:
    if hasattr(os, name):
        delattr(os, name)
del select.poll
subprocess.Popen.kill = lambda self: self.send_signal(9)
for name in ("SIGKILL", "SIGHUP", "SIGSTOP", "SIGCHLD", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)
