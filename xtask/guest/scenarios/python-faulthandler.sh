# Python with faulthandler: its handler writes a trace and raises the signal again.
#fs: tmpfs
#: {"class": "truncated", "confidence": "proven", "victim": "python3.11", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": {"in": [1, 2]}, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
python3.11 -X faulthandler /python/mapped.py "$D/live" 2>trace &
victim=$!
await live.ready
truncate -s 0 live
: >live.go
wait $victim
grep -q "Fatal Python error: Bus error" trace || exit 99
