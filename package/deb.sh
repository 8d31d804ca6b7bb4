#!/bin/sh
# deb.sh TREE OUTPUT: makes a Debian package of an installed tree (make install PREFIX=/usr DESTDIR=TREE).
set -eu
tree=$1 output=$2
here=$(dirname "$0")
doc=$tree/usr/share/doc/netd
python() { "$tree/usr/lib/netd/bin/python" -I -B "$@"; }
version=$(python -c 'import netd; print(netd.__version__)')
this=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$(python -c 'import sys; print("%d.%d~" % (sys.version_info[0], sys.version_info[1] + 1))')
architecture=$(dpkg --print-architecture)

# What Debian's policy asks for (10.1, 12.5, 12.7): libraries without symbols, copyright and changelog. postinst compiles.
find "$tree/usr/lib/netd" -name '*.so' -exec strip --strip-unneeded --remove-section=.comment {} +
find "$tree/usr/lib/netd" -name __pycache__ -type d -prune -exec rm -rf {} +
rmdir "$tree"/usr/lib/netd/include/* "$tree/usr/lib/netd/include" 2>/dev/null || :
python "$here/copyright.py" >"$doc/copyright"
python "$here/changelog.py" | gzip -9n >"$doc/changelog.gz"
rm "$doc/LICENSE"
find "$tree/usr/share/man" -type f -exec gzip -9n {} +
python -m netd check "$doc/examples" >/dev/null # the libraries still load
# preinst makes it, once.
rmdir "$tree/etc/netd"

mkdir -p "$tree/DEBIAN"
sed -e "s/@VERSION@/${VERSION:-$version}/;s/@ARCHITECTURE@/$architecture/;s/@PYTHON@/$this~/;s/@PYTHON_NEXT@/$next/" \
    "$here/debian/control" >"$tree/DEBIAN/control"
echo "Installed-Size: $(du -k -s "$tree" | cut -f1)" >>"$tree/DEBIAN/control"
(cd "$tree" && find usr -type f -exec md5sum {} +) >"$tree/DEBIAN/md5sums"
install -m 644 "$here/debian/conffiles" "$tree/DEBIAN/conffiles"
for script in preinst postinst prerm postrm; do
    install -m 755 "$here/debian/$script" "$tree/DEBIAN/$script"
done
mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$output" >/dev/null
echo "$output/netd_${VERSION:-$version}_$architecture.deb"
