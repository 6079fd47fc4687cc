# What attacks.sh does that a shell cannot.
#   sparse FILE MIB        lets a program say that its table of symbols is so large, all zeros
#   journal FILE           is a journal that writes down what it is sent
#   more FROM TO COUNT     so many incidents as those of FROM that nobody (65534) had, each a second after the one before
#   lock FILE...           as a user of the group adm, holds a lock on each of these that it may open
#   resident PID FILE      until a process ends, writes down the most KiB that it and its children had at once
import copy
import datetime
import fcntl
import itertools
import json
import os
import socket
import struct
import sys
import time


def sparse(name, mib):
    with open(name, "r+b") as file:
        head = file.read(64)
        (sections,) = struct.unpack_from("<Q", head, 40)
        # The first of them: SHT_SYMTAB, of entries of 24 bytes, with the second for its names.
        section = struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, 8192, mib << 20, 2, 0, 8, 24)
        file.seek(sections + 64)
        file.write(section)
        file.truncate((mib + 1) << 20)


def journal(out):
    path = "/run/systemd/journal/socket"
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(path)
    with open(out, "wb", buffering=0) as file:
        while True:
            file.write(heard.recv(1 << 20) + b"\n")


def more(source, to, count):
    with open(source) as lines:
        known = [json.loads(line) for line in lines if '"victim"' in line]
    theirs = [one for one in known if one["victim"]["uid"] == 65534]
    when = datetime.datetime.fromisoformat(theirs[-1]["time"][:19])
    with open(to, "w") as file:
        for number, one in zip(range(count), itertools.cycle(theirs)):
            one = copy.deepcopy(one)
            at = (when + datetime.timedelta(seconds=number)).isoformat()
            one["id"] = one["id"][:24] + f"{number:012x}"
            one["time"] = one["last"] = at + ".000000001Z"
            one["boot_ns"] += number * 1_000_000_000
            one["victim"]["pid"] = 10_000 + number
            file.write(json.dumps(one) + "\n")


def lock(names):
    os.setgroups([])
    os.setresgid(4, 4, 4)
    os.setresuid(1000, 1000, 1000)
    held = []
    for name in names:
        try:
            file = open(name, "rb")
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            held.append(file)
        except OSError:
            pass
    open("/tmp/locked", "w").close()
    time.sleep(1000)


def status(pid, field):
    with open(f"/proc/{pid}/status") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def resident(pid, out):
    most = 0
    while os.path.exists(f"/proc/{pid}/exe"):
        parents, sizes = {}, {}
        for one in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[one], sizes[one] = str(status(one, "PPid:")), status(one, "VmRSS:")
            except OSError:
                pass
        family, found = {pid}, True
        while found:
            found = {one for one in parents if parents[one] in family} - family
            family |= found
        now = sum(sizes.get(one, 0) for one in family)
        if now > most:
            most = now
            with open(out, "w") as file:
                file.write(f"{most}\n")
        time.sleep(0.02)


words = sys.argv[2:]
match sys.argv[1]:
    case "sparse":
        sparse(words[0], int(words[1]))
    case "journal":
        journal(words[0])
    case "more":
        more(words[0], words[1], int(words[2]))
    case "lock":
        lock(words)
    case "resident":
        resident(*words)
