# A core dump's reader, slower than any incident is kept open for something else.
sleep 7
exec cat >/dev/null
