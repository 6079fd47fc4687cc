# A shell on the console, for `cargo xtask vm`.
busybox setsid busybox cttyhack /bin/sh
