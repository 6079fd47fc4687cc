# open(O_TRUNC) here on a FUSE file, which its server truncates inside open.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "sh", "cmdline": "/bin/sh /scenarios/fuse-truncated.sh $D", "parents": ["init"], "victim": "reader", "access": "read", "offset": 81000, "size": 9, "path": "$D/file", "server": "fusey by connection"}
#+fuse-untold: {"server": "probably fusey by only one"}
#+signal-alone: {"class": "shrunk-elsewhere", "confidence": "likely", "says": "shrunk here or elsewhere"}
. /lib.sh
. /fuse.sh
fuse "$D/fuse" "$D/file"
reading "$D/file" 81000 wait
echo 12345678 >file
: >file.go
wait $victim
linger
unfuse fuse file
