# A page of [vvar] that only other clocks have.
#fs: tmpfs
# On arm64 every page of it can be read in 7.3.
#needs: case $(uname -m),$(uname -r) in aarch64,7.*) false ;; esac
#: {"mode": "user", "signal": "BUS_ADRERR", "disposition": "default", "outcome": "killed", "exit": "signal 7", "count": 1, "complete": true, "class": "special-mapping", "confidence": "proven", "victim": "vvar", "access": "read", "mapping": {"in": ["[vvar]", "[vvar_vclock]"]}}
#+signal-alone: {"confidence": "proven", "complete": true, "driver": "special_mapping_fault"}
#+signal-alone&linux-5.10: {"confidence": "likely", "complete": null, "driver": null}
. /lib.sh
vvar "$D/label"
