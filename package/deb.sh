#!/bin/sh
# deb.sh TREE OUTPUT: makes a Debian package of an installed tree (make install PREFIX=/usr DESTDIR=TREE).
set -eu
tree=$1 output=$2
here=$(dirname "$0")/debian
value() { "$tree/usr/lib/netd/bin/python" -c "$1"; }
version=$(value 'import netd; print(netd.__version__)')
this=$(value 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$(value 'import sys; print("%d.%d~" % (sys.version_info[0], sys.version_info[1] + 1))')
architecture=$(dpkg --print-architecture)

find "$tree/usr/share/man" -type f -exec gzip -9n {} +
# preinst makes it, once.
rmdir "$tree/etc/netd"
mkdir -p "$tree/DEBIAN"
sed -e "s/@VERSION@/${VERSION:-$version}/;s/@ARCHITECTURE@/$architecture/;s/@PYTHON@/$this~/;s/@PYTHON_NEXT@/$next/" \
    "$here/control" >"$tree/DEBIAN/control"
echo "Installed-Size: $(du -k -s "$tree" | cut -f1)" >>"$tree/DEBIAN/control"
install -m 644 "$here/conffiles" "$tree/DEBIAN/conffiles"
for script in preinst postinst prerm postrm; do install -m 755 "$here/$script" "$tree/DEBIAN/$script"; done
mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$output" >/dev/null
echo "$output/netd_${VERSION:-$version}_$architecture.deb"
