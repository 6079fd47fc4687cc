# A mapping of a driver: the data pages of a perf ring are not to be written.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "likely", "victim": "driver", "offset": 4101, "size": 0, "path": "[perf_event]"}
. /lib.sh
driver "$D/label"
