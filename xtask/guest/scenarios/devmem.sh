# /dev/mem, mapped where a device has its memory: a driver is bound to that, and takes it (kernel/resource.c
# revoke_iomem).
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "proven", "says": "a driver has taken the memory", "victim": "device", "driver": "mmap_mem_ops", "device": "1:1", "offset": {"any": true}, "size": 0, "path": "/dev/mem"}
#+linux-5.10: {"driver": null}
#+no-data-symbols: {"driver": null}
. /lib.sh
pci=$(readlink -f /sys/block/vdc/device/..)
slot=${pci##*/}
set -- $(busybox sed -n 5p "$pci/resource")
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/unbind
device /dev/mem "$1" "$D/mapped" &
victim=$!
await mapped.ready
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/bind
await /dev/vdc
: >mapped.go
wait $victim
linger
