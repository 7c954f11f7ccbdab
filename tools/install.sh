#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Copies what `ninja` built to PREFIX (default /usr/local), below DESTDIR (default none).
# LIBDIR is the library directory's name below PREFIX (default lib). `ninja install` runs
# it from the repository's root.
set -eu

prefix=${PREFIX:-/usr/local}
libdir=$prefix/${LIBDIR:-lib}
root=${DESTDIR:-}

case $prefix in
/*) ;;
*)
    echo "tools/install.sh: PREFIX=$prefix: an absolute path is needed" >&2
    exit 2
    ;;
esac
for built in build/libgrove.a build/libgrove.so build/grove-stat; do
    if [ ! -e "$built" ]; then
        echo "tools/install.sh: $built is missing: run ninja first" >&2
        exit 1
    fi
done

number() {
    sed -n "s/^#define GROVE_VERSION_$1 //p" include/grove/base.h
}
version=$(number MAJOR).$(number MINOR).$(number PATCH)

# put MODE DIRECTORY FILE...: installs and names each file.
put() {
    mode=$1 directory=$2
    shift 2
    for file; do
        [ -e "$file" ] || continue # a pattern that matched nothing
        install -D -m "$mode" "$file" "$root$directory/$(basename "$file")"
        echo "$root$directory/$(basename "$file")"
    done
}

put 644 "$prefix/include" include/grove.h
put 644 "$prefix/include/grove" include/grove/*.h
put 644 "$libdir" build/libgrove.a
put 755 "$libdir" "build/libgrove.so.$version"
ln -sf "libgrove.so.$version" "$root$libdir/libgrove.so.0"
ln -sf libgrove.so.0 "$root$libdir/libgrove.so"

# shellcheck disable=SC2046 # one word per tool
put 755 "$prefix/bin" $(tools/edges tools build)
for section in 1 3 7; do
    put 644 "$prefix/share/man/man$section" docs/man/*."$section"
done

mkdir -p "$root$libdir/pkgconfig"
sed -e "s,@PREFIX@,$prefix,; s,@LIBDIR@,$libdir,; s,@VERSION@,$version," \
    tools/grove.pc.in >"$root$libdir/pkgconfig/grove.pc"
echo "$root$libdir/pkgconfig/grove.pc"

# A first installation to a place the loader knows needs its cache renewed.
if [ -z "$root" ] && [ "$(id -u)" -eq 0 ]; then
    ldconfig
fi
