# A file on NFS is overwritten on this very client: that is no shrink elsewhere.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 4096, "path": "$D/nfs/live", "how": "open(O_TRUNC)", "old": 102400, "new": 0, "culprit": "cp", "cmdline": "cp new nfs/live", "parents": ["sh", "init"]}
#+signal-alone: {"class": "shrunk-elsewhere", "confidence": "likely", "says": "shrunk here or elsewhere"}
. /lib.sh
. /nfs.sh
nfs "$D/nfs"
make nfs/live 102400
make new 4096
reading "$D/nfs/live" 81000 wait
cp new nfs/live || exit 99
: >nfs/live.go
wait $victim
umount nfs
