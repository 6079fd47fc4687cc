# fallocate(FALLOC_FL_COLLAPSE_RANGE), which passes no notify_change.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "offset": 101000, "size": 98304, "path": "$D/live", "how": "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "old": 102400, "new": 98304, "culprit": "fallocate", "cmdline": "fallocate -c -o 0 -l 4096 live", "parents": ["sh", "init"]}
. /lib.sh
make live 102400
sync live
reading "$D/live" 101000
fallocate -c -o 0 -l 4096 live || exit 99
wait $victim
