# A FUSE server makes its file shorter; the host learns of it by a stat.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shrunk-elsewhere", "confidence": "proven", "how": "an attribute update", "old": 102400, "new": 4096, "victim": "reader", "access": "read", "offset": 81000, "size": 4096, "path": "$D/file"}
. /lib.sh
. /fuse.sh
fuse "$D/fuse" "$D/file"
reading "$D/file" 81000 wait
kill -USR1 $server
[ "$(stat -c %s file)" = 4096 ] || exit 99
: >file.go
wait $victim
kill $server
