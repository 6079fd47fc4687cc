# (Before 6.8 nfsd has no way to revoke what clients of version 4 have open.)
# A file on NFS is removed on its server, and the server drops what clients have open.
#fs: ext4
#needs: ! uname -r | grep -Eq "^(5|6\.[0-9])\."
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "stale-handle", "confidence": "proven", "victim": "reader", "access": "read", "offset": 81000, "size": 102400, "path": "$D/nfs/live", "deleted": true}
#+signal-alone: {"class": "stale-handle", "confidence": "likely", "says": "reads are not watched"}
. /lib.sh
. /nfs.sh
nfs "$D/nfs"
make nfs/live 102400
sync
reading "$D/nfs/live" 81000 wait
rm $E/live
echo /mnt/ext4 >/proc/fs/nfsd/unlock_filesystem
echo 3 >/proc/sys/vm/drop_caches
: >nfs/live.go
wait $victim
umount -l nfs
