# Sourced by scenarios on NFS: a server and its clients in one guest. /mnt/ext4/export is exported;
# nfs DIR mounts the scenario's own part of it, $E, by NFSv4.2, nfs3 DIR by NFSv3, each time as a
# client of its own. Nothing is removed in the end: the client's i_generation is always 0, and an
# inode number that the server used again would be taken for the same file. NFS_ADDR is the server's address, if
# not that of the loopback.
NFS_ADDR=${NFS_ADDR:-127.0.0.1}
E=/mnt/ext4/export/$(basename "$D")
nfs_server() {
    [ -e /tmp/nfs.up ] && return
    load nfsd
    load nfsv4
    load nfsv3
    mkdir -p /mnt/ext4/export /var/lib/nfs/v4recovery /run/rpcbind
    ln -sf /proc/mounts /etc/mtab
    printf 'nfs 2049/tcp\nsunrpc 111/tcp\nsunrpc 111/udp\n' >/etc/services
    printf 'tcp 6 TCP\nudp 17 UDP\n' >/etc/protocols
    echo "127.0.0.1 localhost" >/etc/hosts
    printf '%s\n' 'tcp tpi_cots_ord v inet tcp - -' 'udp tpi_clts v inet udp - -' \
        'local tpi_cots_ord - loopback - - -' >/etc/netconfig
    touch /var/lib/nfs/etab /var/lib/nfs/rmtab
    mount -t nfsd nfsd /proc/fs/nfsd
    # No client to wait for after a reboot.
    echo 10 >/proc/fs/nfsd/nfsv4gracetime
    ln -sfn /run /var/run
    rpcbind || exit 99
    await /run/rpcbind.sock
    exportfs -i -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 '*:/mnt/ext4/export' || exit 99
    rpc.mountd -p 20048 || exit 99
    rpc.nfsd -U -H "$NFS_ADDR" 2 || exit 99
    echo Y >/proc/fs/nfsd/v4_end_grace
    # A delegation would make who truncates on the server wait for its return.
    echo 0 >/proc/sys/fs/leases-enable
    : >/tmp/nfs.up
}
nfs() {
    nfs_server
    mkdir -p "$1" "$E"
    mount -i -t nfs4 -o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2,actimeo=0,nosharecache "127.0.0.1:/$(basename "$D")" "$1" || exit 99
}
nfs3() {
    nfs_server
    mkdir -p "$1" "$E"
    mount -i -t nfs -o addr=127.0.0.1,mountaddr=127.0.0.1,vers=3,nolock,proto=tcp,mountproto=tcp,mountport=20048,port=2049,actimeo=0,nosharecache "127.0.0.1:$E" "$1" || exit 99
}
