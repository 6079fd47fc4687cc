# A page of a tmpfs that was swapped out, to a device that fails by the time it is touched.
#fs: tmpfs
#: {"class": "read-error", "confidence": "proven", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "says": "could not be read back from swap", "victim": "reader", "access": "read", "offset": 5000, "size": 16777216, "path": "$D/segment"}
#+linux-5.10: {"confidence": "likely"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || exit 99
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || exit 99
mkdir -p /sys/fs/cgroup/small
echo 8M >/sys/fs/cgroup/small/memory.max || exit 99
dmsetup create --noudevsync swap --table "0 65536 linear /dev/vdd 0" || exit 99
device=/dev/dm-$(dmsetup info -c --noheadings -o minor swap)
mkswap "$device" && swapon "$device" || exit 99
# More than its memory cgroup holds: what is written first goes to swap. Not zeros: from 6.12 on these need none.
sh -c 'echo $$ >/sys/fs/cgroup/small/cgroup.procs; exec head -c 16777216 /dev/urandom >segment'
ln -s segment live
reader "$D/live" 5000 wait &
victim=$!
await live.ready
break_device swap 65536
: >live.go
wait $victim
rm segment
swapoff "$device"
dmsetup remove --noudevsync --force swap
rmdir /sys/fs/cgroup/small || { linger; rmdir /sys/fs/cgroup/small; }
