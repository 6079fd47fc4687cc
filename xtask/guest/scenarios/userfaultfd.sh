# A page that userfaultfd was to fill, with UFFD_FEATURE_SIGBUS.
#fs: tmpfs
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "userfaultfd", "confidence": "proven", "victim": "uffd", "access": "write"}
#+signal-alone: {"class": "unknown", "confidence": "unknown", "says": "or a userfaultfd refused it, which is not watched"}
. /lib.sh
uffd "$D/label"
