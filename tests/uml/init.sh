#!/bin/bash
# The first process of the User-Mode kernel (machine.py). Its folder has what to run, and where the answer is expected.
# The root becomes an overlay in memory over the files of the machine, so that nothing of them changes.
folder=${0%/*}
release=$(uname -r)
mount -t tmpfs tmpfs /run
mkdir -p /run/upper /run/work /run/root
insmod "/usr/lib/uml/modules/$release/kernel/fs/overlayfs/overlay.ko"
mount -t overlay root -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root
cd /run/root || exit
# Where modprobe, and the kernel when it meets an unknown kind, look for modules.
mkdir -p "usr/lib/modules/$release" lib/modules proc sys run dev mnt
mount --bind "/usr/lib/uml/modules/$release" "usr/lib/modules/$release"
mount -t hostfs none "/run/root$folder" -o "$folder"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs run run
mount -t cgroup2 cgroup sys/fs/cgroup
pivot_root . mnt
chroot . /bin/bash "$folder/inside.sh" "$folder"
sync
chroot . /sbin/halt -f -p
