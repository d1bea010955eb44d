#!/usr/bin/env bash
# Installs what is missing on a Debian 12 with Rust, and says so in one line each.
#
#   scripts/setup.sh build    what compiling needs
#   scripts/setup.sh run      the servers that tests and the demo start
#   scripts/setup.sh ladder   what stands in front of two shops in `make ladder` and in its tests
#   scripts/setup.sh java     what Apache Kafka runs on
#   scripts/setup.sh maven    what fetches Apache Kafka
#   scripts/setup.sh mutants  what breaks the rules on purpose, for `make mutants`
#   scripts/setup.sh bench    what `make bench-module` and its like measure with
#   scripts/setup.sh peers    CL.THROTTLE, which `make bench-peers` compares with
#   scripts/setup.sh browser  what the dashboard is looked at with, and its alert rules are checked with
#   scripts/setup.sh package  what makes a package for Debian
#
# Nothing is started: tests and the demo run servers of their own.
set -euo pipefail

# Servers are where not everybody's PATH leads.
PATH="$PATH:/usr/sbin:/sbin"

missing=()

# need PACKAGE REASON CHECK… : the package is missing if the check fails.
need() {
    local package=$1 reason=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        echo "setup: installing $package ($reason)"
        missing+=("$package")
    fi
}

# The library, and the headers that belong to it.
has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] ||
        { compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' &&
            compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h'; }
}

has_java_17() {
    local major
    major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [[ -n $major && $major -ge 17 ]]
}

case ${1:-} in
build)
    if ! type -P cargo >/dev/null; then
        echo "setup: Rust is missing: https://rustup.rs" >&2
        exit 1
    fi
    need gcc "compiles C" type -P cc
    need g++ "librdkafka and libFuzzer are in C++" type -P c++
    need libc6-dev "headers of the C library" test -e /usr/include/stdlib.h
    need make "builds librdkafka" type -P make
    need cmake "builds zlib for the proxy" type -P cmake
    need libssl-dev "TLS of librdkafka" test -e /usr/include/openssl/ssl.h
    need pkg-config "finds it" type -P pkg-config
    need libclang-dev "reads Redis's module header" has_libclang
    ;;
run)
    # REDIS_SERVER names another one to test with.
    [[ -n ${REDIS_SERVER:-} ]] || need redis-server "decides" type -P redis-server
    need mariadb-server "keeps the orders" type -P mariadbd
    need curl "one of the commands to try" type -P curl
    need openssl "makes certificates for the tests" type -P openssl
    need util-linux "ends servers together with their test" type -P setpriv
    ;;
ladder)
    need nginx "balances two shops" type -P nginx
    ;;
java)
    need openjdk-17-jre-headless "runs Kafka" has_java_17
    ;;
maven)
    need maven "fetches Kafka" type -P mvn
    ;;
browser)
    need chromium "opens the dashboard" type -P chromium
    need chromium-driver "leads it" type -P chromedriver
    need fonts-dejavu-core "letters for it" test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
    need prometheus "its promtool checks the alert rules" type -P promtool
    ;;
package)
    need dpkg-dev "finds out which libraries a package needs" type -P dpkg-shlibdeps
    need binutils "takes from programs what only debuggers read" type -P strip
    ;;
bench)
    need redis-server "decides" type -P redis-server
    need redis-tools "sends requests from many connections" type -P redis-benchmark
    need valgrind "counts instructions" type -P valgrind
    need wrk "asks as a hundred buyers" type -P wrk
    need nginx "is what the proxy is compared with" type -P nginx
    need libnginx-mod-http-lua "runs Lua in nginx" test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
    need util-linux "ends servers together with their test" type -P setpriv
    ;;
peers)
    # It is of no Debian, but crates.io has its source, of 2018. Nothing of the project is built with it.
    # It is linked with the standard library of this Rust, so that another Rust has it built again. If
    # it cannot be had, the comparison does without it.
    cell=${XDG_CACHE_HOME:-$HOME/.cache}/seckill/redis-cell
    if ! cmp -s <(rustc --version) "$cell/rustc"; then
        echo "setup: building redis-cell (CL.THROTTLE, to compare with)"
        source=$(mktemp -d)
        mkdir "$source/src"
        touch "$source/src/lib.rs"
        cat >"$source/Cargo.toml" <<'TOML'
[package]
name = "cell"
version = "0.0.0"
edition = "2024"

[dependencies]
redis-cell = "=0.2.2"
TOML
        if RUSTFLAGS="-C link-arg=-Wl,-rpath,$(rustc --print target-libdir)" CARGO_TARGET_DIR="$cell" \
            cargo build --quiet --release --manifest-path "$source/Cargo.toml"; then
            rustc --version >"$cell/rustc"
        else
            rm -f "$cell/release/libredis_cell.so"
            echo "setup: redis-cell could not be had: make bench-peers does without CL.THROTTLE" >&2
        fi
        rm -rf "$source"
    fi
    ;;
mutants)
    # It is of no Debian. Nothing of the project is built with it.
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/seckill
    if [[ ! -x $tools/bin/cargo-mutants ]]; then
        echo "setup: installing cargo-mutants (breaks the rules on purpose)"
        cargo install --quiet --locked --root "$tools" cargo-mutants --version 27.1.0
    fi
    ;;
*)
    echo "usage: $0 build|run|ladder|java|maven|mutants|bench|peers|browser|package" >&2
    exit 2
    ;;
esac

if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi
if ! type -P apt-get >/dev/null; then
    echo "setup: this is no Debian: please install the above in your system's way" >&2
    exit 1
fi
as_root=()
if [[ $EUID -ne 0 ]]; then
    as_root=(sudo)
fi

log=$(mktemp)
# Packages of servers would start them now, and this file is how Debian lets us say no.
policy=/usr/sbin/policy-rc.d
ours=no
finish() {
    rm -f "$log"
    if [[ $ours = yes ]]; then
        "${as_root[@]}" rm -f "$policy"
    fi
}
trap finish EXIT
if [[ ! -e $policy ]]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" \
        </dev/null >>"$log" 2>&1
}
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
    cat "$log" >&2
    echo "setup: apt-get could not install ${missing[*]}" >&2
    exit 1
fi
