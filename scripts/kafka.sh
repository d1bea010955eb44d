#!/usr/bin/env bash
# Puts the jars of Apache Kafka into the cache, once. Which ones: testbed/kafka/pom.xml.
#
# Exit code 3: there is no Kafka to be had here, in one line why. Everything but the tests and the
# demo through Kafka works without.
set -euo pipefail
cd "$(dirname "$0")/.."

pom=testbed/kafka/pom.xml
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/seckill
jars=$cache/kafka-$version/libs

no_kafka() {
    echo "kafka: going on without it: $1"
    exit 3
}

scripts/setup.sh java || no_kafka "Java could not be installed"
if [[ -d $jars ]]; then
    exit 0
fi
scripts/setup.sh maven || no_kafka "Maven could not be installed"

echo "kafka: fetching Apache Kafka $version by Maven, once"
mkdir -p "$cache"
unfinished=$(mktemp -d "$cache/kafka-unfinished-XXXXXX")
trap 'rm -rf "$unfinished"' EXIT
timeout 600 mvn -Dstyle.color=never --batch-mode --quiet --no-transfer-progress --file "$pom" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$unfinished/libs" \
    </dev/null >"$unfinished/log" 2>&1 ||
    no_kafka "Maven: $(sed -n 's/\x1b\[[0-9;]*m//g; /ERROR/{s/^.*ERROR. //p; q}' "$unfinished/log" | cut -c1-400)"
mkdir -p "${jars%/*}"
# Whole or not at all; if somebody else was faster, his are as good.
mv -T "$unfinished/libs" "$jars" 2>/dev/null || [[ -d $jars ]]
