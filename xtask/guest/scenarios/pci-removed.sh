# Memory of a PCI device, mapped by its file in sysfs, as programs do that drive it from user space: the device is
# removed. Since 5.12 the mapping stays (docs/decisions/0017-whose-mapping.md).
#fs: tmpfs
#needs: uname -r | grep -q "^5\.10"
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "likely", "victim": "device", "offset": {"any": true}, "size": 16777216, "path": "/sys/devices/pci0000:00/0000:00:02.0/resource0"}
. /lib.sh
vga=/sys/bus/pci/devices/0000:00:02.0
device $vga/resource0 0 "$D/mapped" &
victim=$!
await mapped.ready
echo 1 >$vga/remove
: >mapped.go
wait $victim
linger
echo 1 >/sys/bus/pci/rescan
await $vga/resource0
