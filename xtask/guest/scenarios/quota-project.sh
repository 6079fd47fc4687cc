# A write into a hole of a file whose project has used up its quota, on an ext4 with room.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "quota", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 1048575}, "size": 1048576, "path": "$D/quota/hole"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load quota_v2
mkdir quota
mke2fs -q -t ext4 -m 0 -I 256 -O quota,project -E quotatype=prjquota -F /dev/vdc || exit 99
mount -t ext4 -o prjquota /dev/vdc quota || exit 99
truncate -s 1M quota/hole
project quota/hole 77 || exit 99
chown 65534 quota/hole
limit /dev/vdc 77 64 project || exit 99
# root may exceed a quota that is not its own.
busybox su -s /bin/sh nobody -c "writer $D/quota/hole"
linger
umount quota
