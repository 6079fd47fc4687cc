# A file on NFS is removed on its server, which keeps no files open for clients of version 3.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "stale-handle", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/nfs/live"}
#+signal-alone: {"class": "stale-handle", "confidence": "likely", "says": "reads are not watched"}
. /lib.sh
. /nfs.sh
nfs3 "$D/nfs"
# Made on the server: what nfsd has had open it keeps for a while.
make $E/live 102400
sync
reading "$D/nfs/live" 81000 wait
rm $E/live
: >nfs/live.go
wait $victim
umount -l nfs
