# A write into a hole by a user whose quota is used up, on an xfs with room.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "quota", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 1048575}, "size": 1048576, "path": "$D/quota/hole"}
#+linux-5.10: {"confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load xfs
watched xfs_delalloc_enospc
mkdir quota
mkfs.xfs -q -f /dev/vdd || exit 99
mount -t xfs -o uquota /dev/vdd quota || exit 99
truncate -s 1M quota/hole
chown 65534 quota/hole
limit /dev/vdd 65534 64 || exit 99
busybox su -s /bin/sh nobody -c "writer $D/quota/hole"
linger
umount quota
