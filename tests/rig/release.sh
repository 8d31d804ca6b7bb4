#!/bin/bash
# release.sh ROOT COMMAND...: runs a command in a copy of this repository, on a root that mkroot.sh has made, as root and
# with this machine's network. Nothing is written to ROOT or to the repository. Packages come from where this machine has
# them from: mkroot.sh takes over its sources for apt, this script pip's configuration, its local directories, and the
# certificates that an administrator added.
set -eu
root=$(realpath "$1")
shift
pip_files=$(python3 -m pip config debug 2>/dev/null | sed -n 's/^ *\(\/.*\), exists: True$/\1/p')
pip_paths=$(python3 -m pip config list 2>/dev/null | grep -v '\.cert=' | grep -oE "(file://|['= ])/[^ ']*" |
    sed 's|^file://||; s|^[^/]*||; s|/simple$||' | sort -u)
shared="/usr/local/share/ca-certificates $pip_files $pip_paths"
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/netd-release.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root" "$work/src"
git -C "$top" ls-files -z --cached --others --exclude-standard | tar -C "$top" --null -T - -c | tar -C "$work/src" -x
unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$1 work=$2 m=$2/root shared=$3
    shift 3
    mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" overlay "$m"
    mount -t proc proc "$m/proc"
    mount --rbind /sys "$m/sys"
    mount --rbind /dev "$m/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$m/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$m/run"
    mkdir "$m/src"
    mount --bind "$work/src" "$m/src"
    [ -e "$m/etc/resolv.conf" ] || : >"$m/etc/resolv.conf"
    mount --bind /etc/resolv.conf "$m/etc/resolv.conf"
    for each in $shared; do
        [ -e "$each" ] && ! [ "$m$each" -ef "$each" ] || continue
        if [ -d "$each" ]; then mkdir -p "$m$each"; else mkdir -p "$m${each%/*}" && touch "$m$each"; fi
        mount --rbind -o ro "$each" "$m$each"
    done
    # No chroot: in one, the kernel permits no user namespaces.
    mkdir -p "$m/.outside"
    cd "$m"
    pivot_root . .outside
    umount -l /.outside
    cd /src
    exec "$@"
' bash "$root" "$work" "$shared" "$@"
