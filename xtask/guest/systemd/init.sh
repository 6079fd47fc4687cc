#!/bin/busybox sh
# The first process of the guest with systemd: mounts its root file system, puts this checkout's files
# over it and starts systemd, which takes over.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do $b insmod "$module"; done
echo WHYBUS-INIT "$($b uname -r)"
$b mount -t ext4 -o ro /dev/vde /overlay
$b mount -t ext4 /dev/vdf /root
$b cp -r /overlay/. /root/
$b umount /overlay
$b umount /proc
exec $b switch_root /root /usr/lib/systemd/systemd
