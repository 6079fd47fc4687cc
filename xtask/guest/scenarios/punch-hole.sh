# A hole reads as zeros: nothing is told.
. /lib.sh
make live 65536
reading "$D/live" 20000
fallocate --punch-hole --offset 16384 --length 16384 live
sleep 0.2
kill $victim
