#!/bin/bash
# boot.sh FOLDER LOWER [SOURCE:TARGET]...: becomes the first process of a machine, and then its systemd.
#
# Called in new namespaces for processes, mounts, network, name, IPC and cgroups. FOLDER holds upper, work and root of an
# overlay over LOWER; SOURCE is bound to TARGET, read-only unless it lies in FOLDER.
set -eu
folder=$1 lower=$2
shift 2
root=$folder/root
read -r pid _ </proc/self/stat # /proc is still the one outside

mount --make-rprivate /
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
# Of the sysctls only those of the network are the machine's own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro,nosuid,noexec,nodev "$root/proc/sys"
cat /proc/sys/kernel/random/uuid >"$folder/boot_id"
mount --bind "$folder/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -t sysfs -o nosuid,noexec,nodev sysfs "$root/sys"
mount -t cgroup2 -o nosuid,noexec,nodev cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir -p "$root"/dev/pts "$root"/dev/shm "$root"/dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$device"
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
for bound in "$@"; do
    IFS=: read -r source target <<<"$bound"
    if [ -d "$source" ]; then mkdir -p "$root$target"; else mkdir -p "$(dirname "$root$target")" && : >>"$root$target"; fi
    mount --bind "$source" "$root$target"
    case $source in "$folder"/*) ;; *) mount -o remount,bind,ro "$root$target" ;; esac
done
mkdir -p "$root/.outside"
cd "$root"
pivot_root . .outside
umount -l /.outside
rmdir /.outside 2>/dev/null || :
mount --make-rshared /
hostname "$(cat /etc/hostname)"
ulimit -Hn 1048576 2>/dev/null || :
echo "$pid" >&3
exec 3>&-
exec env -i container=rig PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    setpriv --bounding-set=-sys_time,-sys_module --inh-caps=-sys_time,-sys_module \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal-or-kmsg --show-status=no
