#!/usr/bin/env bash
# Puts what was built where a system has such things. `make install` calls it.
#
#   PREFIX=/usr/local   programs below bin/, documents below share/doc/seckill/
#   MODULES=/usr/lib/redis/modules
#                       the module; Debian's unit of Redis lets it load code from /usr/lib and from
#                       nowhere else
#   SYSCONF=/etc        configurations below seckill/; one that is there stays, and the new one lies
#                       beside it as *.new
#   UNITS=/etc/systemd/system
#   DESTDIR=            in front of all of them, for packages
#
# $1 is the folder with the programs.
set -euo pipefail
cd "$(dirname "$0")/.."

built=$1
prefix=${PREFIX:-/usr/local}
modules=${MODULES:-/usr/lib/redis/modules}
sysconf=${SYSCONF:-/etc}
units=${UNITS:-/etc/systemd/system}
dest=${DESTDIR:-}
documents=$prefix/share/doc/seckill

put() {
    local mode=$1 from=$2 to=$3
    install -D -m "$mode" "$from" "$dest$to"
    echo "  $to"
}

# What an owner has changed is his.
put_configuration() {
    local from=$1 to=$2
    if [[ -e $dest$to ]] && ! cmp -s "$from" "$dest$to"; then
        put 644 "$from" "$to.new"
    else
        put 644 "$from" "$to"
    fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for program in seckill-proxy seckill-worker seckill-load; do
    put 755 "$built/$program" "$prefix/bin/$program"
done
put 755 scripts/upgrade-redis.sh "$prefix/bin/seckill-upgrade-redis"
# Redis loads no module that cannot be executed.
put 755 "$built/libseckill.so" "$modules/libseckill.so"

# The unit has a folder where two proxies can meet, so that one can be replaced from the first day; and
# both can be asked on loopback how they are.
sed -e 's/^#\(\[upgrade\]\)$/\1/' -e 's/^#\(socket = "\/run\/seckill-proxy\/\)/\1/' \
    -e 's/^#\(\[admin\]\)$/\1/' -e 's/^#\(listen = "127.0.0.1:9100"\)$/\1/' \
    conf/proxy.toml >"$scratch/proxy.toml"
sed -e 's/^#\(\[admin\]\)$/\1/' -e 's/^#\(listen = "127.0.0.1:9102"\)$/\1/' \
    conf/worker.toml >"$scratch/worker.toml"
for program in proxy worker; do
    put_configuration "$scratch/$program.toml" "$sysconf/seckill/$program.toml"
done

for unit in seckill-proxy seckill-worker; do
    sed -e "s:=/usr/bin/:=$prefix/bin/:" -e "s:/etc/seckill/:$sysconf/seckill/:" \
        -e "s:file\:///usr/share/doc/seckill/:file\://$documents/:" \
        "conf/systemd/$unit.service" >"$scratch/unit"
    put 644 "$scratch/unit" "$units/$unit.service"
done

put 644 conf/redis.conf "$documents/redis.conf"
put 644 conf/users.acl "$documents/users.acl"
put 644 conf/prometheus/seckill.rules.yml "$documents/prometheus/seckill.rules.yml"
put 644 conf/grafana/seckill.json "$documents/grafana/seckill.json"
put 644 LICENSE "$documents/copyright"
for document in docs/*.md; do
    install -D -m 644 "$document" "$dest$documents/$(basename "$document")"
done
echo "  $documents/*.md"
