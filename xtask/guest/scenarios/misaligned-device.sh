# The same of a PCI device's memory, as programs do that drive it from user space: the page is there, and nobody refused it.
#fs: tmpfs
#needs: [ "$(uname -m)" = aarch64 ]
#: {"class": "device-mapping", "confidence": "likely", "says": "not aligned", "victim": "misaligned", "mode": "user", "offset": {"any": true}, "size": 16384, "path": "/sys/devices/platform/4010000000.pcie/pci0000:00/0000:00:03.0/resource4", "driver": "kernfs_vm_ops", "signal": "BUS_ADRALN", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#+no-data-symbols: {"driver": null}
. /lib.sh
pci=$(readlink -f /sys/block/vdc/device/..)
slot=${pci##*/}
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/unbind
misaligned "$pci/resource4" device "$D/label"
echo "$slot" >/sys/bus/pci/drivers/virtio-pci/bind
await /dev/vdc
linger
