# A FUSE server that dies under a mapping.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "fuse-gone", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/file", "server": "no process of its host serves it any more"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+linux-7: {"confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
. /fuse.sh
fuse "$D/fuse" "$D/file"
reading "$D/file" 81000 wait
kill -9 $server
wait $server
: >file.go
wait $victim
linger
umount -l file fuse
