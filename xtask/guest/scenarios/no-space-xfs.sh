# A write into a hole of a file on a full xfs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 104857599}, "size": 104857600, "path": "$D/full/hole"}
#+linux-5.10: {"confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load xfs
watched xfs_delalloc_enospc
mkdir full
mkfs.xfs -q -f /dev/vdd || exit 99
mount -t xfs /dev/vdd full || exit 99
truncate -s 100M full/hole
fill full
writer "$D/full/hole"
linger
umount full
