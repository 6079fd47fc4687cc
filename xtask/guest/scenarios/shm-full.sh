# A small tmpfs, as /dev/shm of a container, and a file larger than it.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shm-full", "confidence": "proven", "victim": "writer", "access": "write", "offset": 1048576, "size": 4194304, "path": "$D/shm/segment"}
#+no-huge-pages: {"complete": null}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir shm
mount -t tmpfs -o size=1m tmpfs shm
truncate -s 4M shm/segment
writer "$D/shm/segment"
linger
umount shm
