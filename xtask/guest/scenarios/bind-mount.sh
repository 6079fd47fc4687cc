# Mapped through a bind mount, shrunk through the original.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 5000, "size": 0, "path": "$D/mounted/live", "as": "$D/real/live", "how": "open(O_TRUNC)", "old": 8192, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/bind-mount.sh $D", "parents": ["init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
mkdir real mounted
make real/live 8192
mount --bind real mounted
reading "$D/mounted/live" 5000
: >real/live
wait $victim
