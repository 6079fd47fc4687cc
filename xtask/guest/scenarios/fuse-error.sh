# A FUSE server that answers EIO.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "read-error", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/file", "server": "fusey by connection"}
#+fuse-untold: {"server": "probably fusey by only one"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
. /fuse.sh
fuse "$D/fuse" "$D/file"
: >fuse.eio
reader "$D/file" 81000
linger
unfuse fuse file
