"""Become another program, as another user, that dies with its parent. Run as a script; standard library only.

    python -I -S launch.py PARENT USER GROUP PROGRAM [ARGUMENT ...]

PARENT is the process id that must still be our parent; USER and GROUP are numbers, or `-` for no change. The
parent-death signal is asked for here, after the change of user (which clears it) and before the exec (which keeps it),
because a hook between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT_START = 127
_PRIVATE = 0o077
"""What the program writes is for its own user."""


def main(arguments: list[str]) -> None:
    """Does not return: either the program runs, or the process ends with 127 and a sentence."""
    parent, user, group, *command = arguments
    if user != "-":
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    os.umask(_PRIVATE)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"cannot ask for the parent-death signal: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the child began")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.exit(_CANNOT_START)


if __name__ == "__main__":
    main(sys.argv[1:])
