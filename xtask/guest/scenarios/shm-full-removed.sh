# The same, and whoever runs it removes the segment as it dies: there is room again a moment later.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shm-full", "confidence": "proven", "victim": "relink", "access": "write", "offset": {"most": 4194303}, "size": 4194304, "path": "$D/shm/segment"}
#+no-huge-pages: {"complete": null}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir shm
mount -t tmpfs -o size=1m tmpfs shm
cd shm
relink "$D/shm/segment" 4194304
cd ..
linger
umount shm
