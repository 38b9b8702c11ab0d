#!/bin/bash
# Starts and stops ZooKeeper, as Exhibitor asks for. The archives on Maven Central have no scripts.
set -euo pipefail
home=$(cd "$(dirname "$0")/.." && pwd)

pid() { jps | sed -n 's/ QuorumPeerMain$//p' | head -n 1; }

start() {
  # Exhibitor puts its `javaEnvironment` there.
  # shellcheck source=/dev/null
  if [[ -r $home/conf/java.env ]]; then . "$home/conf/java.env"; fi
  # To the container's log if it can be reached: not where the container never was root's.
  local log=/proc/1/fd/1 flags=()
  if ! (: >>"$log") 2>/dev/null; then log=/opt/exhibitor/run/zookeeper.out; fi
  # Flags are words, as in ZooKeeper's own script.
  read -r -a flags <<<"${JVMFLAGS:-} ${SERVER_JVMFLAGS:-}"
  setsid nohup java -XX:+ExitOnOutOfMemoryError "${flags[@]}" -cp "$home/conf:$home/*:$home/lib/*" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$home/conf/zoo.cfg" >>"$log" 2>&1 </dev/null &
}

stop() {
  local running
  running=$(pid)
  [[ -n $running ]] || return 0
  kill "$running" 2>/dev/null || true
  for _ in {1..100}; do
    [[ -n $(pid) ]] || return 0
    sleep 0.1
  done
  kill -KILL "$running" 2>/dev/null || true
}

case ${1-} in
  start)
    if [[ -n $(pid) ]]; then
      echo "ZooKeeper runs already" >&2
      exit 1
    fi
    start
    ;;
  stop) stop ;;
  restart)
    stop
    start
    ;;
  *)
    echo "usage: zkServer.sh start|stop|restart" >&2
    exit 64
    ;;
esac
