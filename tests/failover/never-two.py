#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""never-two.py MACHINE EVENTS…: reads what `virsh event --all --loop --timestamp` printed on several
hosts and fails if the machine ever ran on two of them at once. One that was started with its
processors stopped did not run: its start and its stop are told within an instant."""

import datetime
import re
import sys

# Start and suspension of a machine that is started paused are told this close together.
AN_INSTANT = datetime.timedelta(milliseconds=100)
LINE = re.compile(r"^(\S+ \S+): event 'lifecycle' for domain '([^']+)': (\S+)")
RUNS = {"Started": True, "Resumed": True, "Suspended": False, "Stopped": False, "Crashed": False}


def lives(path, machine):
    """[[from, to or None]]: when it ran."""
    found = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            match = LINE.match(line)
            if not match or match.group(2) != machine or match.group(3) not in RUNS:
                continue
            at = datetime.datetime.strptime(match.group(1), "%Y-%m-%d %H:%M:%S.%f%z")
            runs = RUNS[match.group(3)]
            is_open = bool(found) and found[-1][1] is None
            if runs and not is_open:
                found.append([at, None])
            elif not runs and is_open:
                found[-1][1] = at
                if at - found[-1][0] < AN_INSTANT and match.group(3) == "Suspended":
                    found.pop()
    return found


def main():
    machine, paths = sys.argv[1], sys.argv[2:]
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    every = sorted(
        (life[0], life[1] or end, path) for path in paths for life in lives(path, machine))
    if not every:
        print(f"{machine} never ran at all, as far as the hosts said")
        return 1
    wrong = 0
    latest = None
    for life in every:
        if latest and life[0] < latest[1] and life[2] != latest[2]:
            print(f"{machine} ran twice: on {latest[2]} {latest[0]} … {latest[1]}, "
                  f"on {life[2]} {life[0]} … {life[1]}")
            wrong = 1
        if not latest or life[1] > latest[1]:
            latest = life
    for begun, ended, path in every:
        print(f"{path}: {begun} … {ended if ended != end else 'now'}")
    return wrong


sys.exit(main())
