#!/usr/bin/env bash
# Lays out in a directory what the image holds beside Debian's packages: both ways of building it call this.
# usage: assemble.sh DIRECTORY
set -euo pipefail
[[ $# == 1 ]] || { echo "usage: assemble.sh DIRECTORY" >&2; exit 64; }
mkdir -p "$1"
root=$(cd "$1" && pwd)
cd "$(dirname "$0")"
cp -a files/. "$root/"
fetch() {
  # PROFILE DIRECTORY: the jars of a profile of pom.xml.
  mvn -q -B -Dstyle.color=never -f pom.xml -P "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2" >&2
}
fetch exhibitor "$root/opt/exhibitor/lib"
fetch zookeeper "$root/opt/zookeeper/lib"
# Ours stand before those of the same name in Exhibitor's jars.
find src -name '*.java' -print0 | xargs -0 javac --release 17 -implicit:none -Xlint:all,-processing,-path -cp "$root/opt/exhibitor/lib/*" \
  -d "$root/opt/exhibitor/classes"
# Exhibitor looks for ZooKeeper's own jar at the top.
mv "$root"/opt/zookeeper/lib/zookeeper-*.jar "$root/opt/zookeeper/"
mkdir -p "$root"/opt/zookeeper/{local_configs,snapshots,transactions,backups} "$root/opt/exhibitor/run"
chmod -R u=rwX,go=rX "$root/opt"
# What is written at run time, by whatever user the container runs as.
chmod 777 "$root"/opt/zookeeper/{conf,local_configs,snapshots,transactions,backups} "$root/opt/exhibitor/run"
chmod 666 "$root"/opt/zookeeper/conf/*
