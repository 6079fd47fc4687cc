# The same, and a driver is bound to the device and takes its memory (kernel/resource.c revoke_iomem).
#fs: tmpfs
#needs: ! uname -r | grep -q "^5\.10"
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "proven", "says": "a driver has taken its memory", "victim": "device", "driver": "kernfs_vma_fault", "offset": {"any": true}, "size": 16384, "path": {"in": ["/sys/devices/pci0000:00/0000:00:05.0/resource4", "/sys/devices/platform/4010000000.pcie/pci0000:00/0000:00:03.0/resource4"]}}
. /lib.sh
pci=$(readlink -f /sys/block/vdc/device/..)
slot=${pci##*/}
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/unbind
device "$pci/resource4" 0 "$D/mapped" &
victim=$!
await mapped.ready
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/bind
await /dev/vdc
: >mapped.go
wait $victim
linger
