# An extension module of Python is copied over while it is loaded, by the very same: what the dynamic linker had
# written into it is gone.
#: {"class": "overwritten", "confidence": "likely", "says": "it jumped to where no code is", "victim": "python3.11", "path": "$D/pygeo.so", "how": "open(O_TRUNC)", "old": {"most": 131072}, "new": 0, "culprit": "cp", "cmdline": "cp new.so pygeo.so", "parents": ["sh", "init"], "signal": "SEGV_MAPERR", "disposition": "default", "outcome": "killed", "exit": "signal 11", "count": 1, "complete": true}
. /lib.sh
cp /lib/*-linux-gnu/pygeo.so .
cp pygeo.so new.so
python3.11 /python/uses_geo.py "$D/" &
victim=$!
await ready
cp new.so pygeo.so
sleep 1
: >go
wait $victim
