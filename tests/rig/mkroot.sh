#!/bin/sh
# mkroot.sh FOLDER [SUITE]: a fresh root with what a small server has, and nothing of netd: of this machine's own release,
# or of another one of the same distribution (bookworm, trixie).
set -eu
folder=$1
. /etc/os-release
suite=${2:-$VERSION_CODENAME}
# systemd and friends, then what netd's package depends on, then what the tests look with.
packages=systemd,systemd-sysv,udev,dbus,kmod,procps,python3
packages=$packages,iproute2,nftables,libnftables1,iptables
packages=$packages,iputils-ping,iputils-arping,man-db,bash-completion,util-linux,tcpdump,conntrack,socat,strace
rm -rf "$folder" "$folder.new"
mkdir -p "$(dirname "$folder")"
sources=$(find /etc/apt -maxdepth 2 \( -name '*.list' -o -name '*.sources' \) -size +0)
if [ "$suite" != "$VERSION_CODENAME" ]; then
    other=$(mktemp -d)
    trap 'rm -rf "$other"' EXIT
    for each in $sources; do sed "s/\b$VERSION_CODENAME\b/$suite/g" "$each" >"$other/${each##*/}"; done
    sources=$(find "$other" -type f)
fi
# man-db: pages are read in the tests, so only other packages' documents are left out.
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/netd/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -f "$1/etc/machine-id" && : >"$1/etc/machine-id"' \
    --customize-hook='ln -sf /dev/null "$1/etc/systemd/system/apt-daily.timer"' \
    --customize-hook='ln -sf /dev/null "$1/etc/systemd/system/apt-daily-upgrade.timer"' \
    "$suite" "$folder.new" $sources
mv "$folder.new" "$folder"
