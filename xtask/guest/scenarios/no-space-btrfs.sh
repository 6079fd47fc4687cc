# A write into a hole of a file on a full btrfs.
#fs: ext4
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "no-space", "confidence": "proven", "victim": "writer", "access": "write", "offset": {"most": 104857599}, "size": 104857600, "path": "$D/full/hole"}
. /lib.sh
load btrfs
mkdir full
mkfs.btrfs -q -f /dev/vdd || exit 99
mount -t btrfs /dev/vdd full || exit 99
truncate -s 100M full/hole
# Ever smaller pieces, until not even a page is left.
for size in 64M 16M 4M 1M 64K 4K; do
    i=0
    while [ $i -lt 40 ] && fallocate -l $size full/fill.$size.$i; do i=$((i + 1)); done
done
df full >&2
sync
writer "$D/full/hole"
umount full
