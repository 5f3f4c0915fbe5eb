#!/bin/bash
# Runs the C and C++ programs against the sandbox: plain, under sanitizers, under valgrind, and the examples
# against an installed copy. `make test-c` calls this with what it has built.
#
# From the environment: BUILT and INJECTING (directories with the library, and with the one that panics on
# demand), SANDBOX (the sandbox's program), OUT (where to work), KAT_TEST_SECONDS (how long threads.c runs),
# CI (a missing tool is then a failure).
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
prefix=$OUT/prefix
export KAT_TEST_SECONDS=${KAT_TEST_SECONDS:-5}
CC=${CC:-cc} CXX=${CXX:-c++}
warnings="-Wall -Wextra -Werror -pedantic"
missing=()

C_PROGRAMS="local blocking failures queue provider fork threads library_threads misuse dlclose"
CXX_PROGRAMS="wrapper results"

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }
# What this machine has not got is skipped aloud; in CI that is a failure.
need() {
    have "$1" && return
    missing+=("$1")
    [ -z "${CI:-}" ] || fail "$1 is missing"
    say "SKIPPED: $2: $1 is missing"
    return 1
}

# The sandbox, and a server that resets connections.
rm -f "$OUT/url" "$OUT/resets"
"$SANDBOX" --control --accounts "$root/tests/vectors/sandbox-accounts.json" >"$OUT/url" 2>/dev/null &
servers=$!
trap 'kill $servers 2>/dev/null' EXIT
if need openssl "connections that are reset"; then
    C_PROGRAMS+=" sigpipe"
    python3 "$here/resetting_server.py" "$OUT/resetting" >"$OUT/resets" &
    servers+=" $!"
    for _ in $(seq 100); do [ -s "$OUT/resets" ] && break; sleep 0.1; done
    set -a
    # shellcheck disable=SC1091
    . "$OUT/resets"
    set +a
fi
for _ in $(seq 100); do [ -s "$OUT/url" ] && break; sleep 0.1; done
KAT_TEST_URL=$(head -1 "$OUT/url")
export KAT_TEST_URL
port=${KAT_TEST_URL#http://127.0.0.1:} port=${port%%/*}
control() { # method, path, body
    exec 9<>"/dev/tcp/127.0.0.1/$port"
    printf '%s /_sandbox/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" "$2" "${#3}" "$3" >&9
    grep -q '^HTTP/1.1 200' <&9 || fail "the sandbox refuses $2"
    exec 9>&-
}

# An installed copy, moved after it was installed.
rm -rf "$prefix" "$OUT/before"
BUILT=$BUILT PREFIX=$OUT/before "$root/ffi-c/install.sh"
mv "$OUT/before" "$prefix"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
library=$prefix/lib/libkaltura_app_token.so
if have pkg-config; then
    cflags=$(pkg-config --cflags kaltura-app-token)
    libs=$(pkg-config --libs kaltura-app-token)
else
    cflags=-I$prefix/include libs="-L$prefix/lib -lkaltura_app_token"
fi
soname=$(objdump -p "$library" | sed -n 's/ *SONAME *//p')
[ -e "$prefix/lib/$soname" ] || fail "the soname $soname names no installed file"

# Symbols.
exported() { nm -D --defined-only "$1" | awk '{print $3}' | sort; }
declared=$(sed -n '/^\/\//!p' "$root/include/kaltura_app_token.h" | grep -o 'kat_[a-z0-9_]*(' | tr -d '(' | sort -u)
[ "$(exported "$library")" = "$declared" ] || fail "the library exports something else than the header declares"
exported "$INJECTING/libkaltura_app_token.so" | grep '^kat_inject_panics$' >/dev/null || fail "no panics can be injected"
say "ok      symbols: $(wc -l <<<"$declared"), all kat_*"

# Programs.
python3 "$here/generate_misuse.py" "$root/include/kaltura_app_token.h" "$OUT/misuse_cases.inc"

compile() { # mode, program, flags
    local out=$OUT/$1-$2
    if [ -e "$here/$2.c" ]; then
        # shellcheck disable=SC2086
        $CC -std=c99 -D_GNU_SOURCE -DKAT_TEST_SOVERSION="\"${soname#*.so.}\"" $warnings -g $3 -I"$OUT" $cflags \
            "$here/$2.c" -o "$out" ${INJECT:-$libs} -lpthread -ldl
    else
        # shellcheck disable=SC2086
        $CXX -std=c++17 $warnings -g $3 $cflags "$here/../cpp/$2.cc" -o "$out" $libs
    fi
}

run() { # mode, program, command before it
    local start=$SECONDS
    # shellcheck disable=SC2086
    if ! timeout 240 ${3:-} "$OUT/$1-$2" >"$OUT/$1-$2.log" 2>&1; then
        tail -40 "$OUT/$1-$2.log" >&2
        fail "$2 ($1)"
    fi
    # A child of the program may have had the error.
    ! grep '^==[0-9]*== ' "$OUT/$1-$2.log" >&2 || fail "$2 ($1)"
    # Whatever happens, no credential of the sandbox's account is printed.
    ! grep -q 0123456789abcdef0123456789abcdef "$OUT/$1-$2.log" || fail "$2 ($1) prints a secret"
    say "ok      $1: $2 ($((SECONDS - start)) s)"
}

must_fail() { # mode, command before it
    compile "$1" uses_after_free "${3:-}"
    # shellcheck disable=SC2086
    if ${2:-} "$OUT/$1-uses_after_free" >/dev/null 2>&1; then fail "$1 does not notice a use after free"; fi
}

no_exceptions() { [ "$1" != results ] || printf -- '-fno-exceptions -fno-rtti'; }

for program in $C_PROGRAMS $CXX_PROGRAMS; do
    compile plain "$program" "$(no_exceptions "$program")"
    run plain "$program"
done
INJECT="$INJECTING/libkaltura_app_token.so" compile plain panics "-Wl,-rpath,$INJECTING"
(export LD_LIBRARY_PATH=$INJECTING && run plain panics)
[ ! -s "$OUT/plain-panics.log" ] || fail "a panic prints: $(head -3 "$OUT/plain-panics.log")"

# Whose signals these are is decided by the program alone: the library installs no handler, for SIGPIPE or any other.
# (Of the C library's own, for its threads, the numbers are real-time ones.)
if need strace "which signal handlers are installed"; then
    for program in blocking queue; do
        strace -f -qq -e trace=connect,rt_sigaction -o "$OUT/$program.strace" "$OUT/plain-$program"
        grep -q ' connect(' "$OUT/$program.strace" || fail "strace saw nothing of $program"
        ! grep 'rt_sigaction(SIG[^R]' "$OUT/$program.strace" >&2 || fail "$program: the library installs a signal handler"
    done
    say "ok      strace: no signal handler"
fi

sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
for program in $C_PROGRAMS $CXX_PROGRAMS; do
    compile asan "$program" "$sanitize $(no_exceptions "$program")"
    run asan "$program"
done
must_fail asan "" "$sanitize"

if need valgrind "everything under valgrind"; then
    check="valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
    for program in $C_PROGRAMS $CXX_PROGRAMS; do
        # It takes what the assembly of TLS has written for uninitialised.
        [ "$program" != sigpipe ] || continue
        cp "$OUT/plain-$program" "$OUT/valgrind-$program"
        run valgrind "$program" "$check"
    done
    must_fail valgrind "$check"
fi

# Of races only those of the program itself: the library is not instrumented (that would need a nightly compiler and
# a standard library of its own), and without that every message between its threads would look like one.
compile tsan threads "-fsanitize=thread"
TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" run tsan threads

# Headers and the programs that open them.
for standard in c99 gnu99 c11 gnu17; do
    # shellcheck disable=SC2086
    $CC -std=$standard $warnings -fsyntax-only -x c "$prefix/include/kaltura_app_token.h"
done
for standard in c++11 gnu++17 c++20; do
    # shellcheck disable=SC2086
    $CXX -std=$standard $warnings -fsyntax-only -x c++ "$prefix/include/kaltura_app_token.h"
done

export KALTURA_PARTNER_ID=102 KALTURA_SERVICE_URL=$KAT_TEST_URL
prints_a_session() { # program, command line
    local ks
    ks=$("$OUT/$1" 2>"$OUT/$1.log") || { cat "$OUT/$1.log" >&2; fail "$1"; }
    case $ks in djJ8*) say "ok      $1" ;; *) fail "$1 prints no session" ;; esac
}
opening() { sed -n '/^\/\/     #include/,/^\/\/     }$/s/^\/\/     \{0,1\}//p' "$prefix/include/$1"; }
control POST reset '{}'
control POST partners/102/tokens '[{"id":"0_opening","token":"5ecret00000000000000000000000001","hashType":"SHA256","sessionDuration":86400}]'
export KALTURA_APP_TOKEN_ID=0_opening KALTURA_APP_TOKEN=5ecret00000000000000000000000001
opening kaltura_app_token.h >"$OUT/opening.c"
opening kaltura_app_token.hpp >"$OUT/opening.cpp"
[ "$(wc -l <"$OUT/opening.c")" -lt 30 ] || fail "the header's program has 30 lines or more"
# shellcheck disable=SC2086
$CC -std=c99 $warnings "$OUT/opening.c" -o "$OUT/opening" $cflags $libs
# shellcheck disable=SC2086
$CXX -std=c++17 $warnings "$OUT/opening.cpp" -o "$OUT/opening_cpp" $cflags $libs
prints_a_session opening
prints_a_session opening_cpp

# The programs of the README.
rm -f "$OUT"/readme-*
awk -v out="$OUT/readme-" '
    !file && /^```(c|cpp)$/ { programs += 1; file = out programs "." substr($0, 4); next }
    /^```$/ { file = "" }
    file { print > file }' "$root/README.md"
for program in "$OUT"/readme-*.c; do
    # shellcheck disable=SC2086
    $CC -std=c99 $warnings "$program" -o "${program%.c}" $cflags $libs
    say "ok      ${program##*/}"
done
for program in "$OUT"/readme-*.cpp; do
    # shellcheck disable=SC2086
    $CXX -std=c++17 $warnings "$program" -o "${program%.cpp}" $cflags $libs
    say "ok      ${program##*/}"
done

# Examples.
export KALTURA_ADMIN_SECRET=0123456789abcdef0123456789abcdef
examples() { # directory
    for example in session session_cpp $2; do prints_a_session "$1/$example"; done
    [ "$("$OUT/$1/epoll")" = "1000 exchanges" ] || fail "$1/epoll"
    say "ok      $1/epoll"
}
if need pkg-config "the examples through pkg-config"; then
    make --silent -C "$root/ffi-c/examples" BUILD="$OUT/pkg-config" CFLAGS="$warnings" CXXFLAGS="$warnings"
    examples pkg-config ""
fi
if need cmake "the examples through CMake"; then
    rm -rf "$OUT/cmake"
    cmake -S "$root/ffi-c/examples" -B "$OUT/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$OUT/cmake.log" || { cat "$OUT/cmake.log"; fail cmake; }
    cmake --build "$OUT/cmake" >>"$OUT/cmake.log" || { cat "$OUT/cmake.log"; fail "cmake --build"; }
    (unset LD_LIBRARY_PATH && examples cmake session_static)
fi

[ "${#missing[@]}" = 0 ] || say "NOT TESTED, because of missing tools: apt-get install ${missing[*]}"
