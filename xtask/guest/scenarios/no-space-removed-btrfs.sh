# A linker's output on a full btrfs, removed by make as the linker dies: there is room again a moment later.
# Where nothing proves what btrfs refused (before 5.14) it is known of the room that is left, if that is asked for before.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "relink", "access": "write", "offset": {"most": 33554431}, "size": 33554432, "path": "$D/full/out"}
#+linux-5.10: {"complete": null, "class": {"in": ["no-space", "unknown"]}, "confidence": {"in": ["likely", "unknown"]}}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
load btrfs
watched btrfs_reserve_ticket
mkdir full
mkfs.btrfs -q -f /dev/vdd || exit 99
mount -t btrfs /dev/vdd full || exit 99
: >full/out
# All but some MiB.
truncate -s 8M full/spare
fallocate -l 8M full/spare
fill full
rm full/spare
sync
cd full
relink "$D/full/out" 33554432
cd ..
linger
umount full
