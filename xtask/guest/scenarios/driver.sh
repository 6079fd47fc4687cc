# A mapping of a driver: the data pages of a perf ring are not to be written.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "device-mapping", "confidence": "proven", "says": "only its first page", "victim": "driver", "driver": {"in": ["perf_mmap_fault", "perf_mmap_pfn_mkwrite"]}, "offset": 4101, "size": 0, "path": "[perf_event]"}
#+pages-16k: {"offset": 16389}
#+linux-5.10: {"confidence": "likely", "driver": null, "says": "a mapping of a driver"}
. /lib.sh
driver "$D/label"
