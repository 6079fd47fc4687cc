# `whybus demo`, for `cargo xtask demo` on hosts that cannot trace themselves.
echo WHYBUS-DEMO
NO_COLOR=1 TMPDIR=/mnt/ext4 whybus demo 2>&1
echo WHYBUS-DEMO-END
