# An unlinked file lives on in its mappings: nothing is told.
. /lib.sh
make live 8192
reading "$D/live" 5000
rm live
sleep 0.2
kill $victim
