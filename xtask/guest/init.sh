#!/bin/sh
# The guest's first process: mounts, loads modules, runs the job on the kernel command line
# (whybus.job=…), writes /results as a tar archive to the second disk and powers off.
export PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/tmp LC_ALL=C
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t securityfs securityfs /sys/kernel/security
busybox mount -t tmpfs tmpfs /tmp
for module in $(busybox cat /modules.d/boot); do busybox insmod "$module"; done
busybox mkdir -p /mnt/ext4 /mnt/tmpfs /results
busybox mount -t ext4 /dev/vda /mnt/ext4
busybox mount -t tmpfs -o size=64m tmpfs /mnt/tmpfs
busybox ip link set lo up
echo WHYBUS-INIT "$(busybox uname -r)"
job=$(busybox tr ' ' '\n' </proc/cmdline | busybox sed -n 's/^whybus\.job=//p')
# Forms of programs that are to be refused (docs/testing.md).
WHYBUS_REFUSE=$(busybox tr ' ' '\n' </proc/cmdline | busybox sed -n 's/^whybus\.refuse=//p')
[ -z "$WHYBUS_REFUSE" ] || export WHYBUS_REFUSE
case ,$WHYBUS_REFUSE, in *,ftrace,*) echo 0 >/proc/sys/kernel/ftrace_enabled ;; esac
. "/jobs/$job.sh"
busybox tar -cf /dev/vdb -C / results
busybox sync
echo WHYBUS-DONE
busybox poweroff -f
