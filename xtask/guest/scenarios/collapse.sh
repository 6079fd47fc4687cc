# fallocate(FALLOC_FL_COLLAPSE_RANGE), which passes no notify_change.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "offset": 135000, "size": 69632, "path": "$D/live", "how": "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "old": 135168, "new": 69632, "culprit": "fallocate", "cmdline": "fallocate -c -o 0 -l 65536 live", "parents": ["sh", "init"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 135168
sync live
reading "$D/live" 135000
fallocate -c -o 0 -l 65536 live || exit 99
wait $victim
