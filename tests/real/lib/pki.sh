# Certificates: one CA, a serving certificate for each server, a client certificate and kubeconfig for each component.
# shellcheck shell=bash disable=SC2154

key() { openssl ecparam -genkey -name prime256v1 -noout -out "$pki/$1.key" 2>/dev/null; }

# certificate NAME SUBJECT USAGE [NAMES]
certificate() {
  key "$1"
  openssl req -new -key "$pki/$1.key" -subj "$2" -out "$pki/$1.csr"
  {
    echo keyUsage=critical,digitalSignature
    echo "extendedKeyUsage=$3"
    if [[ -n ${4-} ]]; then echo "subjectAltName=$4"; fi
  } >"$pki/$1.ext"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 \
    -extfile "$pki/$1.ext" -out "$pki/$1.crt" 2>/dev/null
  rm "$pki/$1.csr" "$pki/$1.ext"
}

# client NAME SUBJECT: a certificate, and the kubeconfig that uses it.
client() {
  certificate "$1" "$2" clientAuth
  cat >"$state/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: rig, cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: $pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $pki/$1.crt, client-key: $pki/$1.key}}]
contexts: [{name: rig, context: {cluster: rig, user: $1}}]
current-context: rig
YAML
}

make_pki() {
  mkdir -p "$pki"
  key ca
  openssl req -x509 -new -key "$pki/ca.key" -subj /CN=zkprov-rig -days 365 -out "$pki/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  openssl genrsa -out "$pki/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub" 2>/dev/null
  certificate apiserver /CN=kube-apiserver serverAuth \
    "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$node_ip,IP:$api_service_ip"
  certificate kubelet-serving "/CN=$node_name" serverAuth "DNS:$node_name,IP:$node_ip,IP:$kwok_ip,IP:127.0.0.1"
  certificate apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  client admin /O=system:masters/CN=admin
  client controllers /CN=system:kube-controller-manager
  client scheduler /CN=system:kube-scheduler
  client proxy /CN=system:kube-proxy
  client dns /CN=rig:dns
  client kwok /O=system:masters/CN=kwok
  client kubelet "/O=system:nodes/CN=system:node:$node_name"
  # zkprov sends this token to a cloud that wants no credentials.
  echo 'anonymous,deployer,deployer' >"$pki/tokens.csv"
}
