#!/bin/sh
# web_assets.sh DIRECTORY NAME@VERSION...: the browser files of npm packages, and their licenses, into DIRECTORY.
set -eu
into=$(realpath -m "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "$@" >/dev/null
mkdir -p new
for archive in *.tgz; do
    name=$(basename "$archive" | sed 's/-[0-9][0-9.]*\.tgz$//')
    mkdir "$name" && tar -xzf "$archive" -C "$name" --strip-components=1
    cp "$name"/LICENSE* "new/$name.LICENSE"
    file=$name.js
    [ -e "$name/$file" ] || file=dist/$name.min.js
    cp "$name/$file" new/
done
mkdir -p "$(dirname "$into")"
rm -rf "$into"
mv new "$into"
