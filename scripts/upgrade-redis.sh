#!/usr/bin/env bash
# Restarts every node of a Redis Cluster, one after the other, so that each loads the module that is
# installed now, in the middle of a sale: replicas first, then each primary, after a replica of it has
# taken its place. Nothing that a buyer was told is lost: a primary hands over only when its replica has
# everything. Buyers of one primary's sales are told to ask again for about a second.
#
#   seckill-upgrade-redis redis://user:password@host:port/         any node of the cluster
#
# The user needs +cluster +role +info +shutdown. A node is stopped with SHUTDOWN; whatever looks after it
# has to start it again (Debian's unit does: Restart=always). Put the new libseckill.so in its place on
# every machine first, with `install`, not with `cp`: a file that is loaded must not be written into.
#
# It stops at the first thing that is not as it has to be, and may be run again.
set -euo pipefail

url=${1:?which cluster? Expected a url of one of its nodes, redis://user:password@host:port/}
patience_s=60

# The part of the url before the address, and so who we are everywhere.
if [[ $url =~ ^(rediss?://([^@/]*@)?)([^/:@]+):([0-9]+) ]]; then
    who=${BASH_REMATCH[1]}
    first=${BASH_REMATCH[3]}:${BASH_REMATCH[4]}
else
    echo "upgrade: expected redis://user:password@host:port/, not $url" >&2
    exit 2
fi

fail() {
    echo "upgrade: $*" >&2
    exit 1
}

# ask NODE COMMAND…
ask() {
    local node=$1 answer
    shift
    answer=$(redis-cli --no-auth-warning -u "$who$node/" "$@" 2>&1) ||
        { echo "$answer" >&2; return 1; }
    # Of an error the status says nothing.
    case $answer in
    ERR* | NOPERM* | WRONGPASS* | NOAUTH* | LOADING* | "Could not connect"*)
        echo "$node: $answer" >&2
        return 1
        ;;
    esac
    printf '%s\n' "$answer" | tr -d '\r'
}

# wait_until WHAT COMMAND… : until it succeeds.
wait_until() {
    local what=$1 since=$SECONDS
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS - since < patience_s)) || fail "$what: not within $patience_s s"
        sleep 0.1
    done
}

# The primaries with slots, as "id host:port".
primaries() {
    ask "$first" CLUSTER NODES |
        awk '$3 ~ /master/ && $3 !~ /fail|noaddr/ && NF > 8 { sub(/@.*/, "", $2); print $1, $2 }'
}

# The replicas of a primary's id.
replicas() {
    ask "$first" CLUSTER NODES |
        awk -v id="$1" '$3 ~ /slave/ && $3 !~ /fail|noaddr/ && $4 == id { sub(/@.*/, "", $2); print $2 }'
}

field() {
    ask "$1" INFO "$2" | sed -n "s/^$3://p"
}

is_another_process() {
    local id
    id=$(field "$1" server run_id) && [[ -n $id && $id != "$2" ]]
}

has_its_primarys_data() {
    [[ $(field "$1" replication master_link_status) = up ]]
}

is_primary() {
    [[ $(ask "$1" ROLE | head -n 1) = master ]]
}

is_well() {
    ask "$1" CLUSTER INFO | grep -q '^cluster_state:ok'
}

# Who is the primary is what all of them have to know before the next step.
all_are_well() {
    local node
    while read -r _ node; do
        is_well "$node" || return 1
    done < <(primaries)
}

restart() {
    local node=$1 id
    id=$(field "$node" server run_id)
    # It answers by hanging up.
    ask "$node" SHUTDOWN >/dev/null 2>&1 || true
    wait_until "$node is started again" is_another_process "$node" "$id"
    wait_until "$node has the data of its primary" has_its_primarys_data "$node"
    wait_until "$node finds the cluster well" is_well "$node"
    echo "  $node: restarted, module version $(module_of "$node")"
}

module_of() {
    ask "$1" MODULE LIST 2>/dev/null | awk '$0 == "ver" { getline; print; exit }' || true
}

is_well "$first" || fail "the cluster of $first is not well, so nothing is touched"
mapfile -t all < <(primaries)
[[ ${#all[@]} -gt 0 ]] || fail "$first knows no primary with slots: is it a cluster?"
for line in "${all[@]}"; do
    read -r id primary <<<"$line"
    [[ -n $(replicas "$id") ]] || fail "$primary has no replica that could take its place, so nothing is touched"
done

for line in "${all[@]}"; do
    read -r id primary <<<"$line"
    echo "$primary:"
    mapfile -t of_it < <(replicas "$id")
    for replica in "${of_it[@]}"; do
        restart "$replica"
    done
    replica=${of_it[0]}
    ask "$replica" CLUSTER FAILOVER >/dev/null
    wait_until "$replica takes the place of $primary" is_primary "$replica"
    # The node that is asked who is who must not be the one that is down.
    first=$replica
    wait_until "all agree" all_are_well
    echo "  $replica: has taken its place"
    restart "$primary"
done
echo "every node was restarted"
