#!/usr/bin/env bash
# Compiles the core, the sandbox, the C library and the native half of the Python package for systems
# other than this one, up to where they would be linked: nothing of it is run. OUT keeps what is made,
# PYTHON has ziglang, whose C compiler knows these systems.
#
# Where rustup has a system's standard library, that is used. Otherwise Debian's rustc and the source of
# its library are unpacked below OUT, which installs nothing. Where neither can be had, it is said.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=$(realpath -m "$OUT")

# Rust's name of a system, and zig's.
SYSTEMS=(
  "x86_64-pc-windows-gnu x86_64-windows-gnu"
  "aarch64-apple-darwin aarch64-macos"
)
PACKAGES=(-p kaltura-app-token -p kaltura-sandbox -p kaltura-app-token-c -p kaltura-app-token-py)

mkdir -p "$OUT/bin"
tool() {
  printf '#!/bin/bash\n%s\n' "$2" >"$OUT/bin/$1"
  chmod +x "$OUT/bin/$1"
}
tool ar "exec '$PYTHON' -m ziglang ar \"\$@\""
tool x86_64-w64-mingw32-dlltool "exec '$PYTHON' -m ziglang dlltool \"\$@\""

unpack_debians() {
  [ ! -e "$OUT/debian/.ready" ] || return 0
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  local packages
  packages=$(apt-get install --simulate --no-install-recommends rustc-web rust-web-src 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
  [ -n "$packages" ] || return 1
  rm -rf "$OUT/debian" && mkdir -p "$OUT/debian/packages"
  # shellcheck disable=SC2086 # names without blanks
  (cd "$OUT/debian/packages" && apt-get download -qq $packages >/dev/null 2>&1) || return 1
  for package in "$OUT"/debian/packages/*.deb; do dpkg -x "$package" "$OUT/debian"; done
  rm -rf "$OUT/debian/packages"
  touch "$OUT/debian/.ready"
}

checked="" not_checked=""
for system in "${SYSTEMS[@]}"; do
  read -r rust zig <<<"$system"
  # cc tells the compiler the system as clang spells it.
  tool "cc-$rust" "words=()
for word; do case \$word in --target=* | -m*-version-min=*) ;; *) words+=(\"\$word\") ;; esac; done
exec '$PYTHON' -m ziglang cc -target $zig \"\${words[@]}\""
  name=${rust//-/_}
  settings=(
    PATH="$OUT/bin:$PATH" CARGO_TARGET_DIR="$OUT/target"
    "CC_$name=$OUT/bin/cc-$rust" "AR_$name=$OUT/bin/ar"
    PYO3_CROSS_PYTHON_VERSION=3.10 RUSTFLAGS=-Dwarnings
  )
  build_std=()
  if ! rustup target list --installed 2>/dev/null | grep -qx "$rust"; then
    if ! unpack_debians; then
      not_checked+=" $rust"
      continue
    fi
    # As it is no nightly one: the library is a part of the build.
    settings+=(
      RUSTC="$OUT/debian/usr/bin/rustc" RUSTC_BOOTSTRAP=1
      LD_LIBRARY_PATH="$OUT/debian/usr/lib/x86_64-linux-gnu"
    )
    build_std=(-Zbuild-std=std,panic_unwind)
  fi
  env "${settings[@]}" cargo check --quiet "${build_std[@]}" --target "$rust" "${PACKAGES[@]}"
  checked+=" $rust"
done
echo "compiled, not linked or run, for:${checked:- none}; could not be compiled here for:${not_checked:- none}"
