# A write into a hole of a file on a full ext4.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 1048575}, "size": 1048576, "path": "$D/small/hole"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mkdir small
mke2fs -q -t ext4 -m 0 -F /dev/vdc || exit 99
mount -t ext4 /dev/vdc small || exit 99
truncate -s 1M small/hole
dd if=/dev/zero of=small/fill bs=64k
dd if=/dev/zero of=small/rest bs=1k
sync
writer "$D/small/hole"
linger
umount small
