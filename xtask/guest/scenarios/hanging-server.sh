# A FUSE server that fails a read and then answers nothing more: statfs(2) on its mount hangs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "count": 1, "complete": true, "disposition": "default", "outcome": "killed", "exit": "signal 7", "class": "read-error", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/file", "server": "fusey by connection", "says": "nothing within 100 ms"}
#+fuse-untold: {"server": "probably fusey by only one"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
. /fuse.sh
fuse "$D/fuse" "$D/file"
: >fuse.eio
: >fuse.hang
reader "$D/file" 81000
sleep 1
kill -9 $server
wait $server
umount -l file fuse
