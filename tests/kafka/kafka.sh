#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Apache Kafka itself, as the broker to compare with and for its command line tools: the released jars from Maven
# Central, kept in a cache, run as they are. Needs java 17 and mvn (`install` gets them on Debian and Ubuntu).
#
#   kafka.sh install                        java, mvn and the jars
#   kafka.sh jars                           prints the folder of the jars, fetching them first
#   kafka.sh run CLASS [ARGUMENT]...        a main class, such as org.apache.kafka.tools.TopicCommand
#   kafka.sh serve-tools                    runs many of those in one Java machine (Tools.java says how)
#   kafka.sh format DIR PORT [ARGUMENT]...  kafka-storage format for the broker below: --release-version 4.0
#   kafka.sh start DIR PORT [KEY=VALUE]...  a broker that is its own controller (on PORT+1), in the foreground;
#                                           data in DIR/data, which is formatted unless it is already; the node id
#                                           is the one it was formatted with, or 1
#
# KAFKA_CACHE  where the jars go (default ~/.cache/ottla/apache-kafka)
# KAFKA_HEAP   memory options of a broker (default -Xmx512m); TOOL_HEAP of a tool (default -Xmx256m)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
cache=${KAFKA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ottla/apache-kafka}
logging=("-Dlog4j2.configurationFile=$here/log4j2.properties" -Dlog4j2.disable.jmx=true)

die() { printf 'kafka.sh: %s\n' "$*" >&2; exit 1; }

need_java() {
    command -v java >/dev/null || die "java is not installed: ./dev install default-jdk-headless maven"
    local version
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p;' | head -1)
    (( ${version:-0} >= 17 )) || die "Apache Kafka needs java 17 or newer, this one is ${version:-unknown}"
}

# The pom beside the jars says which ones they are; several suites may ask at once.
fetch_jars() {
    need_java
    if [[ -f $cache/pom.xml ]] && cmp -s "$here/pom.xml" "$cache/pom.xml"; then return; fi
    command -v mvn >/dev/null || die "mvn is not installed: ./dev install default-jdk-headless maven"
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9
    if [[ -f $cache/pom.xml ]] && cmp -s "$here/pom.xml" "$cache/pom.xml"; then return; fi
    rm -rf "$cache/jars"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$cache/jars" </dev/null >&2 || die "Maven Central did not give us Apache Kafka's jars"
    cp "$here/pom.xml" "$cache/pom.xml"
    exec 9>&-
}

install() {
    "$root/dev" install default-jdk-headless maven
    fetch_jars
}

run_tool() {
    fetch_jars
    # shellcheck disable=SC2086
    exec java ${TOOL_HEAP:--Xmx256m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${logging[@]}" \
        -cp "$cache/jars/*" "$@"
}

serve_tools() {
    fetch_jars
    # shellcheck disable=SC2086
    exec java ${TOOL_HEAP:--Xmx512m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${logging[@]}" \
        -cp "$cache/jars/*" "$here/Tools.java" "$cache/jars"
}

write_properties() {
    local directory=$1 port=$2 node=1 pair
    shift 2
    if [[ -f $directory/data/meta.properties ]]; then
        node=$(sed -n 's/^node\.id=//p' "$directory/data/meta.properties")
    fi
    cat <<PROPERTIES
node.id=$node
process.roles=broker,controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
log.dirs=$directory/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
    for pair in "$@"; do printf '%s\n' "$pair"; done
}

format() {
    (( $# >= 2 )) || die "format needs a directory and a port"
    fetch_jars
    local directory=$1 port=$2
    shift 2
    mkdir -p "$directory"
    write_properties "$directory" "$port" >"$directory/kafka.properties"
    run_tool kafka.tools.StorageTool format --standalone -c "$directory/kafka.properties" "$@" \
        -t "$(run_tool kafka.tools.StorageTool random-uuid)" >&2
}

start() {
    (( $# >= 2 )) || die "start needs a directory and a port"
    fetch_jars
    local directory port=$2
    mkdir -p "$1"
    directory=$(cd "$1" && pwd -P)
    shift 2
    if [[ ! -f $directory/data/meta.properties ]]; then (format "$directory" "$port"); fi
    local properties=$directory/kafka.properties
    write_properties "$directory" "$port" "$@" >"$properties"
    # shellcheck disable=SC2086
    exec java ${KAFKA_HEAP:--Xmx512m} -server -XX:+UseSerialGC -Djava.awt.headless=true -Dbroker.level=INFO \
        "${logging[@]}" -cp "$cache/jars/*" kafka.Kafka "$properties"
}

case ${1:-} in
    install) install ;;
    jars) fetch_jars; printf '%s\n' "$cache/jars" ;;
    run) shift; run_tool "$@" ;;
    serve-tools) serve_tools ;;
    format) shift; format "$@" ;;
    start) shift; start "$@" ;;
    *) sed -n '3,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; [[ -z ${1:-} ]] || die "no verb '$1'" ;;
esac
