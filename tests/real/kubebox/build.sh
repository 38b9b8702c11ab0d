#!/usr/bin/env bash
# Builds kubebox from Go modules and prints the folder it is in, with a link to it for each component.
# The folder is named after what it is built from: a second call finds it. A build from nothing takes about 20 minutes of CPU.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
cd "$(dirname "$0")"
command -v go >/dev/null || { echo "there is no Go to build Kubernetes with: apt-get install golang" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov
# shellcheck source=../versions.env
. ../versions.env
key=$({ cat go.mod go.sum ./*.go pause/*.go build.sh ../versions.env ../../../images/pack.py; go env GOVERSION GOARCH; } | sha256sum | cut -c1-16)
folder=$cache/kubebox-$key
if [[ ! -x $folder/kubebox ]]; then
  mkdir -p "$cache"
  exec 9>"$cache/kubebox.lock"
  flock 9 # One builder at a time; the second then finds the first one's work.
fi
if [[ ! -x $folder/kubebox ]]; then
  work=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  release=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${release#v}"
  stamp=k8s.io/component-base/version
  flags="-s -w -X $stamp.gitVersion=$release -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor"
  flags="$flags -X $stamp.gitTreeState=clean -X $stamp.gitCommit=go-module -X $stamp.buildDate=1970-01-01T00:00:00Z"
  CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "$flags" -o "$work/kubebox" . >&2
  for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns kwok; do
    ln -s kubebox "$work/$component"
  done
  CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$work/root/pause" ./pause >&2
  python3 ../../../images/pack.py "$work/pause.tar" "$PAUSE_IMAGE" '{"Entrypoint": ["/pause"]}' "$work/root"
  rm -r "$work/root"
  # kwok does nothing without stages: its own fast ones, and an annotation of the pod that delays readiness, as its general ones have.
  stages=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
  for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease \
    pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    echo ---
    cat "$stages/$stage.yaml"
  done | awk '
    /^  name: / { name = $2 }
    /^  next:/ && name == "pod-ready" {
      print "  delay:\n    durationMilliseconds: 0\n    durationFrom:"
      print "      expressionFrom: \047.metadata.annotations[\"pod-ready.stage.kwok.x-k8s.io/delay\"]\047"
    }
    { print }' >"$work/kwok-stages.yaml"
  chmod 755 "$work"
  rm -rf "$folder" && mv -T "$work" "$folder"
fi
echo "$folder"
