#!/usr/bin/env bash
# Makes the package, installs it into an empty folder as dpkg does, and looks whether what came out can
# be used: the programs start, Redis loads the module, their configurations are good, systemd takes the
# units, an upgrade leaves what an owner has changed, and a removal takes everything else away.
#
#   scripts/check-package.sh FOLDER-WITH-PROGRAMS
#
# The machine itself stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

built=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root

fail() {
    echo "package: $*" >&2
    exit 1
}

package=$(scripts/deb.sh "$built" "$scratch")
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
# Its dependencies are not in that folder, and its scripts must not think of a system there.
dpkg_there() {
    dpkg --root="$root" --log=/dev/null --force-script-chrootless --force-depends --force-not-root \
        --force-bad-path "$@" >"$scratch/said" 2>&1 || fail "$(cat "$scratch/said")"
}

dpkg_there --install "$package"
for program in proxy worker; do
    "$root/usr/bin/seckill-$program" --version >/dev/null || fail "seckill-$program does not start"
    # The folder of the socket is the unit's.
    sed "s:/run/seckill-proxy:$scratch/run:" "$root/etc/seckill/$program.toml" \
        >"$scratch/$program.toml"
    "$root/usr/bin/seckill-$program" --config "$scratch/$program.toml" --test >"$scratch/said" 2>&1 ||
        fail "$program.toml: $(cat "$scratch/said")"
done
for program in proxy worker; do
    grep -A 1 '^\[admin\]$' "$root/etc/seckill/$program.toml" | grep -q '^listen = "127.0.0.1:' ||
        fail "the installed $program.toml does not say where to ask how it is"
done
grep -q '^socket = "/run/seckill-proxy/upgrade.sock"' "$root/etc/seckill/proxy.toml" ||
    fail "the installed proxy.toml has no socket for an upgrade"
"$root/usr/bin/seckill-load" --version >/dev/null || fail "seckill-load does not start"

redis-server --port 0 --unixsocket "$scratch/redis.sock" --dir "$scratch" --save "" \
    --loadmodule "$root/usr/lib/redis/modules/libseckill.so" >"$scratch/said" 2>&1 &
redis=$!
for _ in {1..100}; do
    [[ ! -S $scratch/redis.sock ]] && kill -0 "$redis" 2>/dev/null || break
    sleep 0.1
done
modules=$(redis-cli -s "$scratch/redis.sock" MODULE LIST 2>&1) || true
kill "$redis" 2>/dev/null || true
wait "$redis" || true
grep -q '^seckill$' <<<"$modules" || fail "Redis does not load the module: $(grep -i module "$scratch/said")"

# Names of the containers' network mean nothing here.
sed 's/"shop:8000"/"127.0.0.1:8000"/' conf/compose/proxy.toml >"$scratch/proxy.toml"
cp conf/compose/worker.toml "$scratch/worker.toml"
for program in proxy worker; do
    DASHBOARD_TOKEN=at-least-16-characters "$root/usr/bin/seckill-$program" \
        --config "$scratch/$program.toml" --test >"$scratch/said" 2>&1 ||
        fail "conf/compose/$program.toml: $(cat "$scratch/said")"
done

if type -P systemd-analyze >/dev/null; then
    for unit in seckill-proxy seckill-worker; do
        # Its own path, because the folder is no system that systemd could look at as a whole.
        sed "s:=/usr/bin/:=$root/usr/bin/:; /^Documentation=/d" \
            "$root/lib/systemd/system/$unit.service" >"$scratch/$unit.service"
        said=$(systemd-analyze verify "$scratch/$unit.service" 2>&1) || fail "$unit.service: $said"
        [[ -z $said ]] || fail "$unit.service: $said"
        # 0 is locked in, 10 is a program as root without any limit.
        systemd-analyze security --offline=yes --threshold=20 "$scratch/$unit.service" \
            >"$scratch/said" 2>&1 || fail "$unit.service: $(tail -n 1 "$scratch/said")"
    done
fi

echo '# ours' >>"$root/etc/seckill/worker.toml"
dpkg_there --force-confold --install "$package"
tail -n 1 "$root/etc/seckill/worker.toml" | grep -q '^# ours$' || fail "an upgrade changed worker.toml"
grep -q 'kill-who=main' "$scratch/said" || fail "an upgrade does not say how to replace what runs"
dpkg_there --remove seckill
[[ ! -e $root/usr/bin/seckill-proxy ]] || fail "a removal left a program"
[[ -e $root/etc/seckill/worker.toml ]] || fail "a removal took a configuration away"
dpkg_there --purge seckill
[[ ! -e $root/etc/seckill ]] || fail "a purge left $(ls "$root/etc/seckill")"

# The other way: without a package, below a folder of one's own.
for _ in 1 2; do
    DESTDIR=$scratch/own PREFIX=/opt/seckill SYSCONF=/opt/seckill/etc UNITS=/opt/seckill/units \
        MODULES=/opt/seckill/lib scripts/install.sh "$built" >/dev/null
    echo '# ours' >>"$scratch/own/opt/seckill/etc/seckill/proxy.toml"
done
own=$scratch/own/opt/seckill
[[ $(grep -c '^# ours$' "$own/etc/seckill/proxy.toml") -eq 2 && -e $own/etc/seckill/proxy.toml.new ]] ||
    fail "make install changed a configuration"
grep -q '^ExecStart=/opt/seckill/bin/seckill-worker --config /opt/seckill/etc/seckill/worker.toml run$' \
    "$own/units/seckill-worker.service" || fail "the unit does not start the program that is installed"
echo "package: $(basename "$package") installs, upgrades and goes away"
