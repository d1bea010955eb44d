#!/usr/bin/env bash
# Tries the rules with bytes that libFuzzer makes up, guided by what they reach; see fuzz/src/lib.rs.
# The targets proxy, module and worker are the programs themselves; see docs/attack.md.
#
#   scripts/fuzz.sh short                    from the committed corpus, the same inputs each time
#   scripts/fuzz.sh long SECONDS [TARGET]    goes on from what was found so far
#   scripts/fuzz.sh keep                     takes what was found into the committed corpus
#   scripts/fuzz.sh again TARGET FILE        one input, for its panic
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(payload snapshot commands events)
attacks=(proxy module worker)
# Inputs of a short run: about five seconds each.
declare -A short=([payload]=20000 [snapshot]=80000 [commands]=6000 [events]=1000000)

# Other flags than everybody's, so a folder of its own. With a platform named, only what runs there is
# instrumented, and not what runs while it is built.
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
platform=$(rustc --version --verbose | sed -n 's/^host: //p')
programs=$folder/$platform/fuzz
found=$folder/found
fixed=()
corpus=fuzz/corpus

# LLVM's coverage, which stable Rust passes on: a counter for each edge, and what is compared.
build() {
    local flags="--cfg fuzzing -Cpasses=sancov-module" flag
    for flag in level=4 inline-8bit-counters pc-table trace-compares; do
        flags+=" -Cllvm-args=-sanitizer-coverage-$flag"
    done
    CARGO_TARGET_DIR=$folder RUSTFLAGS=$flags cargo --locked build --quiet \
        --profile fuzz --target "$platform" -p seckill-fuzz --features engine
}

# fuzz TARGET OPTION… FOLDER… : what breaks a rule is kept beside what was found.
fuzz() {
    local target=$1
    shift
    mkdir -p "$found/broken" "$found/$target" "$corpus/$target"
    "${fixed[@]}" "$programs/fuzz-$target" -timeout=10 -max_len=2048 -print_final_stats=1 \
        -artifact_prefix="$found/broken/$target-" "$@"
}

# The same inputs each time: the numbers that are compared, which it learns from, are addresses too.
short() {
    local target fixed=(setarch --addr-no-randomize)
    "${fixed[@]}" true 2>/dev/null || fixed=()
    log=$(mktemp -d)
    trap 'rm -rf "$log"' EXIT
    for target in "${targets[@]}"; do
        mkdir "$log/$target"
        if ! fuzz "$target" -seed=1 -reload=0 -runs="${short[$target]}" \
            "$log/$target" "$corpus/$target" 2>"$log/said"; then
            tail -n 60 "$log/said" >&2
            echo "fuzz: see it again: scripts/fuzz.sh again $target FILE" >&2
            exit 1
        fi
        sed -n "s/^#[0-9]*\tDONE *cov: \([0-9]*\).*/$target: ${short[$target]} inputs, \1 edges/p" \
            "$log/said"
    done
}

# The programs as they ship, built by now, on private servers.
attack() {
    "${CARGO_TARGET_DIR:-target}/release/seckill-attack" "$1" --seconds "$2"
}

long() {
    local target built=
    for target in "${@:2}"; do
        echo "== $target, for $1 s"
        if [[ " ${attacks[*]} " == *" $target "* ]]; then
            attack "$target" "$1"
            continue
        fi
        if [[ ! $built ]]; then
            build
            "$programs/fuzz-seeds" "$found"
            built=yes
        fi
        fuzz "$target" -max_total_time="$1" "$found/$target" "$corpus/$target"
    done
}

keep() {
    local target
    "$programs/fuzz-seeds" "$found"
    for target in "${targets[@]}"; do
        rm -rf "$found/kept"
        mkdir "$found/kept"
        # Enough of them to reach every edge, and no more.
        fuzz "$target" -set_cover_merge=1 -use_counters=0 "$found/kept" "$corpus/$target" "$found/$target"
        rm -rf "${corpus:?}/$target"
        mv -T "$found/kept" "$corpus/$target"
    done
    du -sb "$corpus"
}

case ${1:-} in
short) build && short ;;
long) long "$2" ${3:-"${targets[@]}" "${attacks[@]}"} ;;
keep) build && keep ;;
again) build && fuzz "$2" "$3" ;;
*)
    echo "usage: $0 short | long SECONDS [TARGET] | keep | again TARGET FILE" >&2
    exit 2
    ;;
esac
