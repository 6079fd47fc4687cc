# `whybus demo`, for `cargo xtask demo` on hosts that cannot trace themselves.
echo WHYBUS-DEMO
TMPDIR=/mnt/ext4 whybus demo 2>&1
echo WHYBUS-DEMO-END
