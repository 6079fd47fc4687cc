# Where victims spoke to that are gone in their first millisecond, a hundred of them: a file, /dev/null, a pipe, and nowhere.
# The kernel tells where that was; whether the host has that file, for the command, is looked up, which a busy guest may be too
# late for: `output` waits for it.
#fs: ext4
#25: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "stdout": {"in": ["file $D/log: tail $D/log", "file $D/log"]}, "stderr": {"in": ["file $D/log: tail $D/log", "file $D/log"]}}
#25: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "stdout": "null", "stderr": "null"}
#25: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "stdout": "pipe", "stderr": "null"}
#25: {"class": "mapped-past-end", "confidence": "proven", "victim": "empty_write", "access": "write", "mode": "user", "offset": 0, "size": 0, "path": "$D/f", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "stdout": "file $D/f", "stderr": "closed"}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
# gone: 25 of them
gone() {
    echo begins
    i=0
    while [ $i -lt 25 ]; do
        empty_write "$D/f"
        i=$((i + 1))
    done
}
gone >log 2>&1
gone >/dev/null
gone 2>/dev/null | cat >/dev/null
# What it opens itself is its first descriptor that was free.
gone >&- 2>&-
