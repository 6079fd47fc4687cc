# A write into a hole of a file on a full btrfs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 104857599}, "size": 104857600, "path": "$D/full/hole"}
#+linux-5.10: {"complete": null, "confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load btrfs
watched btrfs_reserve_ticket
mkdir full
mkfs.btrfs -q -f /dev/vdd || exit 99
mount -t btrfs /dev/vdd full || exit 99
truncate -s 100M full/hole
fill full
writer "$D/full/hole"
linger
umount full
