# An exclusive load at an odd address (arch/arm64/mm/fault.c do_alignment_fault): of memory without a file, and of a file that
# is whole. x86 does that, slowly.
#needs: [ "$(uname -m)" = aarch64 ]
#: {"class": "misaligned", "confidence": "proven", "says": "no file is involved", "victim": "misaligned", "mode": "user", "signal": "BUS_ADRALN", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
#: {"class": "misaligned", "confidence": "proven", "says": "its file is not to blame", "victim": "misaligned", "mode": "user", "offset": 13, "size": 65536, "path": "$D/whole", "signal": "BUS_ADRALN", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true}
. /lib.sh
make whole 65536
misaligned "$D/whole" anonymous
misaligned "$D/whole" file
linger
