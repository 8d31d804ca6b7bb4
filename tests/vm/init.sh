#!/bin/sh
# The first process of the machine (machine.py), in its initial RAM disk. The root becomes an overlay in memory over the
# files of this machine, so that nothing of them changes; "work" has what to run, and takes the answer.
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod "$module"; done
. /place
options=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "$options,ro,cache=loose" root /lower
mount -t tmpfs tmpfs /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work root /root
cd /root || exit
mkdir -p "usr/lib/modules/$release" "./$folder" proc sys dev run
mount -o bind "/lower$modules" "usr/lib/modules/$release"
mount -t 9p -o "$options" work "./$folder"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts devpts dev/pts
mount -t tmpfs shm dev/shm
mount -t tmpfs run run
mount -t cgroup2 cgroup sys/fs/cgroup
chroot . /bin/bash "$folder/inside.sh" "$folder"
sync
poweroff -f
