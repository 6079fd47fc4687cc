# dd without conv=notrunc.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": {"in": [0, 100]}, "path": "$D/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "dd", "cmdline": "dd if=/dev/zero of=live bs=100 count=1", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reading "$D/live" 81000
dd if=/dev/zero of=live bs=100 count=1
wait $victim
