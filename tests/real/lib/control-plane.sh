# etcd, API server, controller manager, scheduler; and kwok, which acts out nodes where there is no real one.
# shellcheck shell=bash disable=SC2154

start_control_plane() {
  # Beside a real node, in a network of its own, pods reach it by its Service, too.
  local reach=(--bind-address=0.0.0.0)
  if [[ $tier == api ]]; then reach=(--bind-address=127.0.0.1 --endpoint-reconciler-type=none); fi
  start etcd "$kubebox/etcd" --name rig --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
    --initial-cluster "rig=http://127.0.0.1:$peer_port"
  start kube-apiserver "$kubebox/kube-apiserver" \
    --etcd-servers="http://127.0.0.1:$etcd_port" "${reach[@]}" --secure-port="$api_port" \
    --advertise-address="$node_ip" --service-cluster-ip-range="$service_range" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --token-auth-file="$pki/tokens.csv" \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/accounts.pub" \
    --service-account-signing-key-file="$pki/accounts.key" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$pki/apiserver-kubelet-client.key" --kubelet-certificate-authority="$pki/ca.crt" \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --allow-privileged --profiling=false \
    --audit-policy-file="$real/manifests/audit-policy.yaml" --audit-log-path="$logs/audit.jsonl"
  await "the API server is ready" kube-apiserver rig_kubectl get --raw /readyz
  start kube-controller-manager "$kubebox/kube-controller-manager" \
    --kubeconfig="$state/controllers.kubeconfig" --authentication-kubeconfig="$state/controllers.kubeconfig" \
    --authorization-kubeconfig="$state/controllers.kubeconfig" --secure-port=0 --leader-elect=false --profiling=false \
    --use-service-account-credentials=true --service-account-private-key-file="$pki/accounts.key" \
    --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --kube-api-qps=200 --kube-api-burst=400
  start kube-scheduler "$kubebox/kube-scheduler" --kubeconfig="$state/scheduler.kubeconfig" \
    --authentication-kubeconfig="$state/scheduler.kubeconfig" --authorization-kubeconfig="$state/scheduler.kubeconfig" \
    --secure-port=0 --leader-elect=false --profiling=false
  rig_kubectl apply --server-side -f "$real/manifests/access.yaml" >/dev/null
  await "the controllers work" kube-controller-manager rig_kubectl -n default get serviceaccount default
}

start_kwok() {
  start kwok "$kubebox/kwok" --kubeconfig="$state/kwok.kubeconfig" --config="${ZKPROV_KWOK_STAGES:-$kubebox/kwok-stages.yaml}" \
    --manage-nodes-with-label-selector=type=kwok --cidr="$pod_range" --node-ip="$kwok_ip" --node-lease-duration-seconds=40 \
    --node-port="$kwok_port" --server-address="127.0.0.1:$kwok_port" \
    --tls-cert-file="$pki/kubelet-serving.crt" --tls-private-key-file="$pki/kubelet-serving.key"
  rig_kubectl apply --server-side -f "$real/manifests/kwok-nodes.yaml" >/dev/null
  await "three acted nodes are ready" kwok rig_kubectl wait --for=condition=Ready node -l type=kwok --timeout=1s
}
