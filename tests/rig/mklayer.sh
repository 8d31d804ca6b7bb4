#!/bin/bash
# mklayer.sh ROOT FOLDER PACKAGE...: a layer of packages over a root that mkroot.sh has made.
# Their services are not started at boot: what a test wants of them it starts.
set -eu
root=$1 folder=$2
shift 2
work=$(mktemp -d "$(dirname "$root")/layer.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/upper" "$work/work" "$work/root"
unshare --mount --propagation private bash -euc '
    root=$1 work=$2 m=$2/root
    shift 2
    mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" overlay "$m"
    mount -t proc proc "$m/proc"
    for each in tmp run var/lib/apt/lists var/cache/apt; do mount -t tmpfs tmpfs "$m/$each"; done
    mkdir -p "$m/var/lib/apt/lists/partial" "$m/var/cache/apt/archives/partial"
    mount --rbind /dev "$m/dev"
    [ -e "$m/etc/resolv.conf" ] || : >"$m/etc/resolv.conf"
    mount --bind /etc/resolv.conf "$m/etc/resolv.conf"
    ls "$m"/etc/systemd/system/*.wants >"$m/tmp/before"
    printf "#!/bin/sh\nexit 101\n" >"$m/usr/sbin/policy-rc.d"
    chmod +x "$m/usr/sbin/policy-rc.d"
    export DEBIAN_FRONTEND=noninteractive
    chroot "$m" apt-get -qq update
    chroot "$m" apt-get -qq install -y --no-install-recommends "$@" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
    rm "$m/usr/sbin/policy-rc.d"
    # What the packages would start at each boot; the list of before keeps the root as it is.
    for wants in "$m"/etc/systemd/system/*.wants; do
        for unit in "$wants"/*; do
            grep -qxF "${unit##*/}" "$m/tmp/before" || rm "$unit"
        done
    done
' _ "$root" "$work" "$@"
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$work/upper" "$folder"
