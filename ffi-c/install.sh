#!/bin/sh
# Installs the C library that cargo has built: `make install` calls this.
#
# From the environment: BUILT (the directory with the libraries), PREFIX, LIBDIR, INCLUDEDIR, DESTDIR. What is
# installed finds itself relative to its own place, so that the prefix may be moved afterwards.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PREFIX=${PREFIX:-/usr/local}
LIBDIR=${LIBDIR:-$PREFIX/lib}
INCLUDEDIR=${INCLUDEDIR:-$PREFIX/include}
DESTDIR=${DESTDIR:-}

header=$here/../include/kaltura_app_token.h
macro() { sed -n "s/^#define KAT_VERSION_$1 //p" "$header"; }
major=$(macro MAJOR) minor=$(macro MINOR) patch=$(macro PATCH)
version=$major.$minor.$patch
# As build.rs puts it into the library.
soversion=$major
[ "$major" != 0 ] || soversion=0.$minor
# What `rustc --print native-static-libs` names; a test links with it.
native="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"

relative() { realpath --canonicalize-missing --no-symlinks --relative-to="$2" "$1"; }

fill() {
    sed -e "s|@VERSION@|$version|g" -e "s|@VERSION_MAJOR@|$major|g" -e "s|@VERSION_MINOR@|$minor|g" \
        -e "s|@SOVERSION@|$soversion|g" -e "s|@NATIVE_LIBS@|$native|g" \
        -e "s|@NATIVE_LIBS_CMAKE@|$(echo "$native" | tr ' ' ';')|g" \
        -e "s|@PREFIX_FROM_PC@|$(relative "$PREFIX" "$LIBDIR/pkgconfig")|g" \
        -e "s|@PREFIX_FROM_CMAKE@|$(relative "$PREFIX" "$LIBDIR/cmake/kaltura_app_token")|g" \
        -e "s|@LIBDIR_FROM_PREFIX@|$(relative "$LIBDIR" "$PREFIX")|g" \
        -e "s|@INCLUDEDIR_FROM_PREFIX@|$(relative "$INCLUDEDIR" "$PREFIX")|g" "$1" >"$2"
    chmod 644 "$2"
}

libdir=$DESTDIR$LIBDIR
install -d "$libdir/pkgconfig" "$libdir/cmake/kaltura_app_token" "$DESTDIR$INCLUDEDIR"
install -m 644 "$here"/../include/kaltura_app_token.h "$here"/../include/kaltura_app_token.hpp "$DESTDIR$INCLUDEDIR"
install -m 755 "$BUILT/libkaltura_app_token.so" "$libdir/libkaltura_app_token.so.$version"
ln -sf "libkaltura_app_token.so.$version" "$libdir/libkaltura_app_token.so.$soversion"
ln -sf "libkaltura_app_token.so.$soversion" "$libdir/libkaltura_app_token.so"
install -m 644 "$BUILT/libkaltura_app_token.a" "$libdir"
fill "$here/kaltura-app-token.pc.in" "$libdir/pkgconfig/kaltura-app-token.pc"
for name in config config-version; do
    fill "$here/cmake/kaltura_app_token-$name.cmake.in" "$libdir/cmake/kaltura_app_token/kaltura_app_token-$name.cmake"
done
