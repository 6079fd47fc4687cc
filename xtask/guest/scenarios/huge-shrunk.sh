# A memory file of huge pages, shrunk by its owner.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "truncated-by-self", "confidence": "proven", "victim": "huge", "access": "write", "offset": 2097157, "size": 2097152, "path": "memfd:huge", "how": "ftruncate", "old": 4194304, "new": 2097152, "culprit": "huge", "cmdline": "huge $D/label shrunk", "parents": ["sh", "init"]}
#+signal-alone: {"class": "truncated", "confidence": "likely", "says": "who shrinks files is not watched"}
. /lib.sh
echo 4 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
huge "$D/label" shrunk
echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
