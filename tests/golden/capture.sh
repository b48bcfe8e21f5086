#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Captures the golden bytes again (Java 17, Maven; Kafka's jars come from Maven Central). The result is
# deterministic: a difference in `git diff` means that Kafka's protocol changed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
mvn -q -f "$here/pom.xml" -DbuildDirectory="$work" compile exec:java -Dexec.args="$out"
