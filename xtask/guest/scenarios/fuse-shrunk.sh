# A FUSE server makes its file shorter; the host learns of it by a stat. Another serves something else beside it.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shrunk-elsewhere", "confidence": "proven", "how": "an attribute update", "old": 102400, "new": 4096, "victim": "reader", "access": "read", "offset": 81000, "size": 4096, "path": "$D/file", "says": "reported a wrong size", "server": "fusey by connection"}
#+fuse-untold: {"server": "probably fusey by arguments"}
#+signal-alone: {"class": "shrunk-elsewhere", "confidence": "likely", "says": "shrunk here or elsewhere"}
. /lib.sh
. /fuse.sh
fuse "$D/other" "$D/beside"
other=$server
fuse "$D/fuse" "$D/file"
reading "$D/file" 81000 wait
kill -USR1 $server
# The server hears of that when it gets to run.
until [ "$(stat -c %s file)" = 4096 ]; do sleep 0.02; done
: >file.go
wait $victim
linger
unfuse fuse file
server=$other
unfuse other beside
