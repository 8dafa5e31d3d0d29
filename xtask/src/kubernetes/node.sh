# One node with its control plane, as init of namespaces of its own: what it mounts, listens on and starts ends with
# it. $1 has the programs, $2 is this cluster's folder, $3 the cgroup below which its pods are.
set -eu
programs=$1 folder=$2 cgroup=$3
mkdir -p "$folder/log"

# What it changes on a host is changed in this mount namespace alone.
mount --make-rshared /
for path in /run /etc/cni /var/lib/cni /var/log/pods /var/log/containers; do
    mkdir -p $path
    mount -t tmpfs tmpfs $path
done
mkdir -p /etc/cni/net.d
for path in kubelet containerd; do
    mkdir -p "$folder/$path" /var/lib/$path
    mount --bind "$folder/$path" /var/lib/$path
done
mount --make-shared /var/lib/kubelet
# The kubelet would set these for the whole machine: it finds files that have what it wants.
for sysctl in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$folder/sysctl-$(echo "${sysctl%=*}" | tr / -)
    echo "${sysctl#*=}" > "$file"
    mount --bind "$file" "/proc/sys/${sysctl%=*}"
done

hostname n1
ip link set lo up
ip link add node0 type bridge
ip addr add 10.77.0.1/24 dev node0
ip link set node0 up
# The API server and the kubelet want a default route; nothing answers there.
ip route add default via 10.77.0.254 dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward

cat > /etc/cni/net.d/10-pods.conflist << END
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [{
    "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.88.0.0/16" }]], "routes": [{ "dst": "0.0.0.0/0" }] }
}] }
END
cat > "$folder/containerd.toml" << END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:1"
# Where this namespace may not lower it, no container would start.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"
END
start() {
    name=${1##*/}
    "$@" > "$folder/log/$name" 2>&1 &
}
start containerd --config "$folder/containerd.toml"

etcd=http://127.0.0.1:2379
start etcd --data-dir "$folder/etcd" --listen-client-urls $etcd --advertise-client-urls $etcd \
    --listen-peer-urls http://127.0.0.1:2380
openssl genrsa -out "$folder/key.pem" 2048 2> /dev/null
echo 'admin-token,admin,admin,system:masters' > "$folder/tokens.csv"
start "$programs/kube-apiserver" --etcd-servers=$etcd --secure-port=6443 --insecure-port=0 \
    --advertise-address=10.77.0.1 --bind-address=10.77.0.1 --kubelet-preferred-address-types=InternalIP --cert-dir="$folder/certs" \
    --token-auth-file="$folder/tokens.csv" --authorization-mode=RBAC --allow-privileged \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-signing-key-file="$folder/key.pem" --service-account-key-file="$folder/key.pem"
cat > "$folder/kubeconfig" << END
{ "apiVersion": "v1", "kind": "Config", "current-context": "c",
  "clusters": [{ "name": "c", "cluster": {
      "server": "https://10.77.0.1:6443", "certificate-authority": "$folder/certs/apiserver.crt" } }],
  "users": [{ "name": "u", "user": { "token": "admin-token" } }],
  "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }] }
END
until curl --silent --insecure --header 'Authorization: Bearer admin-token' https://10.77.0.1:6443/readyz |
    grep -q '^ok'; do sleep 0.2; done
start "$programs/kube-controller-manager" --kubeconfig="$folder/kubeconfig" \
    --service-account-private-key-file="$folder/key.pem" --root-ca-file="$folder/certs/apiserver.crt"
start "$programs/kube-scheduler" --kubeconfig="$folder/kubeconfig"
for image in "$folder"/images/*.tar; do
    ctr --namespace k8s.io images import "$image"
done > "$folder/log/images" 2>&1
start "$programs/kubelet" --kubeconfig="$folder/kubeconfig" --container-runtime=remote \
    --container-runtime-endpoint=unix:///run/containerd/containerd.sock --cgroup-driver=cgroupfs \
    --cgroup-root="$cgroup" --enforce-node-allocatable= --fail-swap-on=false --eviction-hard= \
    --node-ip=10.77.0.1 --hostname-override=n1 --resolv-conf=
start "$programs/kube-proxy" --kubeconfig="$folder/kubeconfig" --proxy-mode=iptables --hostname-override=n1 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
wait
