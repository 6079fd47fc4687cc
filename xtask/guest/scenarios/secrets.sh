# Passwords in the command lines of both, short enough for the kernel's copy, and too long for it.
#: {"class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "offset": 81000, "size": 0, "path": "$D/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "sh", "cmdline": "sh -c : >live upload --db-password *** https://me:***@example.org/", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
reader live 81000 now --token=whybus-s3cr3t "$(head -c 300 /dev/zero | tr '\0' x)" --password whybus-s3cr3t &
victim=$!
await live.ready
sh -c ': >live' upload --db-password whybus-s3cr3t https://me:whybus-s3cr3t@example.org/
wait $victim
