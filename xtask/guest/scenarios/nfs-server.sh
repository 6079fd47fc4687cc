# A file on NFS is overwritten on its server.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "shrunk-elsewhere", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 4096, "path": "$D/nfs/live", "how": "an attribute update", "old": 102400, "new": 4096}
#+linux-5.10: {"complete": null, "confidence": "likely", "how": null, "old": null, "new": null}
#+signal-alone: {"class": "shrunk-elsewhere", "confidence": "likely", "how": "an attribute update", "old": 102400, "new": 4096, "says": "who shrinks files on that host is not watched"}
#+signal-alone&linux-5.10: {"how": null, "old": null, "new": null, "says": "shrunk here or elsewhere"}
. /lib.sh
. /nfs.sh
nfs "$D/nfs"
make nfs/live 102400
make new 4096
sync
reading "$D/nfs/live" 81000 wait
cp new $E/live || exit 99
[ "$(stat -c %s nfs/live)" = 4096 ] || exit 99
: >nfs/live.go
wait $victim
umount nfs
