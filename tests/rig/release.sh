#!/bin/bash
# release.sh ROOT COMMAND...: runs a command in a copy of this repository, on a root that mkroot.sh has made, as root and
# with this machine's network. Nothing is written to ROOT or to the repository.
set -eu
root=$(realpath "$1")
shift
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/netd-release.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root" "$work/src"
git -C "$top" ls-files -z --cached --others --exclude-standard | tar -C "$top" --null -T - -c | tar -C "$work/src" -x
unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$1 work=$2 m=$2/root
    shift 2
    mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" overlay "$m"
    mount -t proc proc "$m/proc"
    mount --rbind /sys "$m/sys"
    mount --rbind /dev "$m/dev"
    for each in tmp run; do mount -t tmpfs tmpfs "$m/$each"; done
    mkdir "$m/src"
    mount --bind "$work/src" "$m/src"
    [ -e "$m/etc/resolv.conf" ] || : >"$m/etc/resolv.conf"
    mount --bind /etc/resolv.conf "$m/etc/resolv.conf"
    exec chroot "$m" /bin/bash -ec "cd /src && exec \"\$@\"" bash "$@"
' bash "$root" "$work" "$@"
