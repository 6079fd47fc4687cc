# Truncated while nobody mapped it, after the process started; then so many other files that the kernel forgets it.
#fs: ext4
#: {"class": "mapped-past-end", "confidence": "likely", "victim": "late", "offset": 81000, "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "path": "$D/live", "size": 0}
. /lib.sh
make live 102400
late "$D/live" 81000 &
victim=$!
await live.ready
truncate -s 0 live
many_unmapped 12000
: >live.go
wait $victim
