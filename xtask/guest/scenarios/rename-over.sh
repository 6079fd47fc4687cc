# The right way to replace a file: nothing happens, nothing is told.
. /lib.sh
make live 8192
make new 100
reading "$D/live" 5000
mv new live
sleep 0.2
kill $victim
