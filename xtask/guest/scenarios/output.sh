# Where a victim spoke to that takes a moment to end: a file, /dev/null, a pipe and a terminal.
#: {"class": "truncated", "confidence": "proven", "victim": "spoke", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "exited", "exit": "status 3", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/file", "how": "ftruncate", "old": 102400, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 file", "parents": ["sh", "init"], "stdout": "file $D/log: tail $D/log", "stderr": "file $D/log: tail $D/log"}
#: {"class": "truncated", "confidence": "proven", "victim": "spoke", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "exited", "exit": "status 3", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/null", "how": "ftruncate", "old": 102400, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 null", "parents": ["sh", "init"], "stdout": "null", "stderr": "null"}
#: {"class": "truncated", "confidence": "proven", "victim": "spoke", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "exited", "exit": "status 3", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/pipe", "how": "ftruncate", "old": 102400, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 pipe", "parents": ["sh", "init"], "stdout": "pipe cat", "stderr": "pipe cat"}
#: {"class": "truncated", "confidence": "proven", "victim": "spoke", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "exited", "exit": "status 3", "count": 1, "complete": true, "offset": 81000, "size": 4096, "path": "$D/terminal", "how": "ftruncate", "old": 102400, "new": 4096, "culprit": "truncate", "cmdline": "truncate -s 4096 terminal", "parents": ["sh", "init"], "stdout": "terminal", "stderr": "terminal"}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
# spoken NAME: waits for it, and takes its file away
spoken() {
    await "$D/$1.ready"
    truncate -s 4096 "$1"
    wait
}
for name in file null pipe terminal; do make $name 102400; done
spoke "$D/file" 81000 >log 2>&1 &
spoken file
spoke "$D/null" 81000 &
spoken null
spoke "$D/pipe" 81000 2>&1 | cat >/dev/null &
spoken pipe
mkdir -p /dev/pts
[ -e /dev/pts/ptmx ] || busybox mount -t devpts devpts /dev/pts
script -qc "exec spoke $D/terminal 81000" /dev/null </dev/null &
spoken terminal
