# truncate(1) did it; another process failed to, and opened the file with O_TRUNC when it was empty.
#fs: ext4
#: {"class": "truncated", "confidence": "proven", "victim": "late", "offset": 81000, "access": "read", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "path": "$D/live", "size": 0, "how": "ftruncate", "old": 102400, "new": 0, "culprit": "truncate", "cmdline": "truncate -s 0 $D/live", "parents": {"in": [["sh", "opening", "sh", "init"], ["opening", "sh", "init"]]}}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
make live 102400
# The scenarios on NFS have switched leases off.
leases=$(cat /proc/sys/fs/leases-enable)
echo 1 >/proc/sys/fs/leases-enable
late "$D/live" 81000 &
victim=$!
await live.ready
opening "$D/live"
opened=$?
echo "$leases" >/proc/sys/fs/leases-enable
[ $opened = 0 ] || exit 99
: >live.go
wait $victim
