# A mapping of a TCP socket, where nothing was received: it is no file that is too short.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "proven", "says": "nothing was there", "victim": "socket_map", "driver": "tcp_vm_ops", "offset": 5, "size": 0, "path": {"any": true}}
#+linux-5.10: {"driver": null}
#+no-data-symbols: {"driver": null}
. /lib.sh
socket_map "$D/label"
