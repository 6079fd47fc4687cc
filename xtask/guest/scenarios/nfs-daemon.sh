# A victim on the server itself: what a client does is done by a thread of the kernel.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": {"in": [0, 4096]}, "path": "$D/live", "as": "/mnt/ext4/export/nfs-daemon/live", "how": "truncate", "old": 102400, "new": 0, "culprit": "nfsd", "parents": ["kthreadd"]}
#+signal-alone: {"class": {"in": ["truncated", "mapped-past-end"]}, "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
. /nfs.sh
nfs "$D/nfs"
make $E/live 102400
make new 4096
: >live
mount --bind $E/live live || exit 99
reading "$D/live" 81000 wait
cp new nfs/live || exit 99
sync nfs/live
: >live.go
wait $victim
umount nfs live
