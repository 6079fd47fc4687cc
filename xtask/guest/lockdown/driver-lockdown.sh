# A mapping of a driver, where before 5.17 nothing in the kernel can look it up: /proc can, while the
# victim lives.
#: {"class": "device-mapping", "confidence": "proven", "driver": {"in": ["perf_mmap_fault", "perf_mmap_pfn_mkwrite"]}, "victim": "driver", "mode": "user", "offset": 4101, "size": 0, "path": "[perf_event]", "signal": "BUS_ADRERR", "disposition": "handler", "outcome": "survived", "count": 1, "complete": true}
#+pages-16k: {"offset": 16389}
#+linux-5.10: {"confidence": "likely", "driver": null, "mode": null, "offset": null, "size": null, "path": null, "mapping": "anon_inode:[perf_event]"}
. /lib.sh
driver "$D/label" live
