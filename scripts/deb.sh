#!/usr/bin/env bash
# Makes a package for Debian out of what was built. `make deb` calls it.
#
#   scripts/deb.sh FOLDER-WITH-PROGRAMS FOLDER-FOR-THE-PACKAGE
#
# It installs and starts nothing by itself: what is upgraded in the middle of a sale goes on with the
# old program until somebody replaces it.
set -euo pipefail
cd "$(dirname "$0")/.."

built=$1
out=$2
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
mkdir -p "$root/DEBIAN"

DESTDIR=$root PREFIX=/usr SYSCONF=/etc UNITS=/lib/systemd/system scripts/install.sh "$built" >/dev/null
programs=("$root"/usr/bin/seckill-{proxy,worker,load} "$root"/usr/lib/redis/modules/libseckill.so)
strip --strip-debug "${programs[@]}"
gzip -9n <<EOF >"$root/usr/share/doc/seckill/changelog.gz"
seckill ($version) stable; urgency=medium

  * See the history of the project.

 -- Seckill <root@localhost>  $(date -R -d "@$(git log -1 --format=%ct 2>/dev/null || date +%s)")
EOF

# What the programs are linked with, in the names of this Debian.
mkdir -p "$scratch/debian"
printf 'Source: seckill\n\nPackage: seckill\nArchitecture: any\n' >"$scratch/debian/control"
depends=$(cd "$scratch" &&
    dpkg-shlibdeps -O --ignore-missing-info "${programs[@]}" 2>/dev/null |
    sed -n 's/^shlibs:Depends=//p')

cat >"$root/DEBIAN/control" <<EOF
Package: seckill
Version: $version
Architecture: $architecture
Maintainer: Seckill <root@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Depends: $depends
Suggests: redis-server (>= 5:7.0), default-mysql-server | mariadb-server, prometheus, grafana
Section: web
Priority: optional
Description: flash-sale gate for a shop
 A Redis module that decides in one atomic step who gets a unit, a reverse
 proxy that turns everybody else away at the edge, and a worker that carries
 each acceptance into exactly one order in MySQL, through Kafka or without it.
EOF
printf '/etc/seckill/proxy.toml\n/etc/seckill/worker.toml\n' >"$root/DEBIAN/conffiles"

cat >"$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    if [ -z "$2" ]; then
        echo "seckill: installed; nothing was started. Next: /usr/share/doc/seckill/operate-proxy.md"
    else
        echo "seckill: what runs still runs in its old version. To replace it, also in the middle of a sale:"
        echo "seckill:   systemctl kill --signal=USR2 --kill-who=main seckill-proxy"
        echo "seckill:   systemctl restart seckill-worker"
    fi
fi
EOF
cat >"$root/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now seckill-proxy.service seckill-worker.service || true
fi
EOF
cat >"$root/DEBIAN/postrm" <<'EOF'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
    rmdir --ignore-fail-on-non-empty /etc/seckill 2>/dev/null || true
fi
EOF
chmod 755 "$root"/DEBIAN/{postinst,prerm,postrm}

mkdir -p "$out"
package=$out/seckill_${version}_$architecture.deb
dpkg-deb -Zxz -z1 --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
