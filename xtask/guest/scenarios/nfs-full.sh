# A mapped write into a hole of a file whose server has no room left is no bus error: the client reserves nothing
# (fs/nfs/file.c nfs_vm_page_mkwrite), and the server's answer comes back from msync(2), each time.
#fs: ext4
. /lib.sh
. /nfs.sh
mkdir -p $E
load loop
truncate -s 8M room
mke2fs -q -t ext4 -m 0 -F room || exit 99
mount -t ext4 -o loop room $E || exit 99
truncate -s 1M $E/hole
fill $E
nfs_server
exportfs -i -o rw,no_root_squash,insecure,no_subtree_check,fsid=7 "*:$E" || exit 99
nfs "$D/nfs"
python3.11 - "$D/nfs/hole" >"$D/told" <<'END'
import errno, mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(file, 1 << 20)
for byte in 1, 2:
    for page in range(0, 1 << 20, 4096):
        memory[page] = byte
    try:
        memory.flush()
    except OSError as error:
        print(errno.errorcode[error.errno])
END
[ "$(cat "$D/told")" = "ENOSPC
ENOSPC" ] || exit 99
umount nfs
exportfs -u "*:$E"
# Some kernels keep it busy for as long as the server is there.
umount -l $E
