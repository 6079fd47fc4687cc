# A tmpfs with room, on a host that promises no more memory than it has (vm.overcommit_memory=2).
#fs: tmpfs
#: {"class": "no-space", "confidence": "likely", "mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "says": "vm.overcommit_memory is 2", "victim": "writer", "access": "write", "offset": {"most": 33554431}, "size": 33554432, "path": "$D/segment"}
#+no-huge-pages: {"complete": null}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "why it could not be had is not watched"}
. /lib.sh
vm=/proc/sys/vm
before=$(cat $vm/admin_reserve_kbytes)
committed=$(sed -n 's/^Committed_AS: *\([0-9]*\) kB/\1/p' /proc/meminfo)
truncate -s 32M segment
chown 65534 segment
# Root, and with it whoever looks on, has 64 MiB more.
echo 65536 >$vm/admin_reserve_kbytes
echo $((committed + 65536 + 16384)) >$vm/overcommit_kbytes
echo 2 >$vm/overcommit_memory || exit 99
busybox su -s /bin/sh nobody -c "writer $D/segment"
linger
rm segment
echo 0 >$vm/overcommit_memory
echo 50 >$vm/overcommit_ratio
echo "$before" >$vm/admin_reserve_kbytes
