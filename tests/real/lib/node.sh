# A node of the cluster: containerd, runc, kubelet, kube-proxy and CoreDNS in a network namespace of the rig's own.
# shellcheck shell=bash disable=SC2154

# Installs what a node needs where that can be done, and says what is missing where it can't.
need_node_tools() {
  local missing=() tool
  for tool in containerd runc nft ip nsenter; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  cni_plugins=$(find /usr/lib/cni /opt/cni/bin -maxdepth 1 -name ptp -printf '%h\n' -quit 2>/dev/null || true)
  if [[ -n $cni_plugins && ${#missing[@]} == 0 ]]; then return; fi
  local packages=(containerd runc containernetworking-plugins nftables iproute2 util-linux)
  command -v apt-get >/dev/null || fail "missing: ${missing[*]} and the CNI plugin ptp; Debian's packages are ${packages[*]}"
  say "installing ${packages[*]}"
  "$here/../install/apt.sh" "${packages[@]}" || fail "installing failed: apt-get install ${packages[*]}"
  cni_plugins=$(find /usr/lib/cni /opt/cni/bin -maxdepth 1 -name ptp -printf '%h\n' -quit 2>/dev/null || true)
}

# Addresses and routes for what is ours alone: nothing leaves the namespace.
make_network() {
  ip netns add "$netns" || fail "no network namespace can be made here; without a node: tests/real/rig up $name --api-only"
  inside ip link set lo up
  # Kernels without dummy devices have bridges.
  inside ip link add node0 type bridge
  inside ip addr add "$node_ip/32" dev node0
  inside ip addr add "$dns_ip/32" dev node0
  inside ip link set node0 up
  inside ip route add 198.18.0.0/15 dev node0
  # kubelet and API server look for a default route.
  inside ip route add default dev node0
  inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

start_containerd() {
  mkdir -p "$state"/{containerd,cni,ipam}
  # No AppArmor, and no lowering of out-of-memory scores: neither is to be had inside containers and small machines.
  cat >"$state/containerd.toml" <<TOML
version = 2
root = "$state/containerd/root"
state = "$state/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$state/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni_plugins"
    conf_dir = "$state/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
  # Point-to-point links: with a bridge, answers of a pod behind a Service would pass the address translation by.
  cat >"$state/cni/10-rig.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "rig", "plugins": [{"type": "ptp", "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "$state/ipam", "ranges": [[{"subnet": "$pod_range"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  start containerd containerd --config "$state/containerd.toml"
  await "containerd answers" containerd containerd_ctl version
}

# A client without a socket would wait 10 seconds before it says so.
containerd_ctl() { ctr --connect-timeout 1s -a "$state/containerd.sock" "$@"; }

import_images() {
  local archive
  for archive in "$@"; do containerd_ctl -n k8s.io images import "$archive" >/dev/null || fail "$archive is not imported"; done
}

start_kubelet() {
  mkdir -p "$state/kubelet" "$logs/pods"
  printf 'nameserver %s\n' "$dns_ip" >"$state/resolv.conf"
  cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
enforceNodeAllocatable: [pods]
containerRuntimeEndpoint: unix://$state/containerd.sock
imageServiceEndpoint: unix://$state/containerd.sock
address: $node_ip
readOnlyPort: 0
tlsCertFile: $pki/kubelet-serving.crt
tlsPrivateKeyFile: $pki/kubelet-serving.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [$dns_ip]
clusterDomain: $cluster_domain
resolvConf: $state/resolv.conf
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "50Mi", nodefs.available: "1%", nodefs.inodesFree: "1%", imagefs.available: "1%"}
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
makeIPTablesUtilChains: false
maxPods: 60
podLogsDir: $logs/pods
YAML
  # `mount` of the rig comes first: see node-bin/mount.
  start kubelet env "PATH=$real/node-bin:$PATH" "ZKPROV_RIG_EXPORTS=$state/exports" "$kubebox/kubelet" \
    --config="$state/kubelet.yaml" --kubeconfig="$state/kubelet.kubeconfig" --root-dir="$state/kubelet" \
    --hostname-override="$node_name" --node-ip="$node_ip" --node-labels=topology.kubernetes.io/zone=us-east1-d -v=2
  await "the node is ready" kubelet rig_kubectl wait --for=condition=Ready "node/$node_name" --timeout=1s
}

# What makes Services and their names work.
start_services() {
  cat >"$state/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $state/proxy.kubeconfig}
clusterCIDR: $pod_range
nodePortAddresses: [$node_ip/32]
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
  start kube-proxy "$kubebox/kube-proxy" --config="$state/proxy.yaml" --hostname-override="$node_name" -v=2
  await "kube-proxy is in step" kube-proxy inside curl -fso /dev/null http://127.0.0.1:10256/healthz
  cat >"$state/Corefile" <<COREFILE
.:53 {
  bind $dns_ip
  errors
  ready 127.0.0.1:8181
  cache 1
  kubernetes $cluster_domain in-addr.arpa {
    kubeconfig $state/dns.kubeconfig
    ttl 1
  }
}
COREFILE
  start coredns "$kubebox/coredns" -conf "$state/Corefile"
  await "cluster DNS answers" coredns inside curl -fso /dev/null http://127.0.0.1:8181/ready
}
