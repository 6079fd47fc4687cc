# Unlinked, and shrunk through a descriptor that is still open.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/live", "deleted": true, "how": "ftruncate", "old": 8192, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 /proc/self/fd/3", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 8192
reading "$D/live" 5000
exec 3<>live
rm live
truncate -s 0 /proc/self/fd/3
wait $victim
