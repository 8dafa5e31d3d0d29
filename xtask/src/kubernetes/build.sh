# Builds Debian's Kubernetes from its source package into $1, for `cargo xtask kubernetes`. The source package leaves
# one generated file out.
set -eu
cd "$1"
apt() {
    apt-get -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$PWD/lists" --quiet "$@"
}
source=gopath/src/k8s.io/kubernetes
if [ ! -d "$source" ]; then
    mkdir -p lists/partial gopath/src/k8s.io
    apt update
    apt source kubernetes
    mv kubernetes-*/ "$source"
    rm -rf lists kubernetes_*
fi

# Below a GOPATH, as the vendored dependencies want it: the modules' file is older than newer Go takes.
export GOPATH="$1/gopath" GOCACHE="$1/cache" GO111MODULE=off CGO_ENABLED=0 GOPROXY=off GOFLAGS=-trimpath
cd "$source"
vendor=k8s.io/kubernetes/vendor
# With Go 1.18 and later, the copy inside reads some requests through a wild pointer; Debian's package does not.
rm vendor/github.com/modern-go/reflect2/*.go vendor/github.com/modern-go/reflect2/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go /usr/share/gocode/src/github.com/modern-go/reflect2/*.s \
    vendor/github.com/modern-go/reflect2/
if [ ! -e pkg/generated/openapi/zz_generated.openapi.go ]; then
    go build -o "$1/openapi-gen" $vendor/k8s.io/kube-openapi/cmd/openapi-gen
    packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=true' staging/src/k8s.io pkg cmd | xargs -n1 dirname | sort -u |
        grep -v -e kube-scheduler/config -e code-generator/ |
        sed -e "s,^staging/src/,$vendor/," -e 's,^\(pkg\|cmd\)/,k8s.io/kubernetes/\1/,' | paste -sd, -)
    "$1/openapi-gen" -O zz_generated.openapi -p k8s.io/kubernetes/pkg/generated/openapi \
        -h hack/boilerplate/boilerplate.generatego.txt -r "$1/report.txt" -i "$packages"
fi
flags="-s -w"
# What it says it is, which helm looks at, stands in two places.
for package in component-base/version client-go/pkg/version; do
    version=$vendor/k8s.io/$package
    flags="$flags -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20"
done
for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
    echo "building $program"
    go build -ldflags "$flags" -o "$1/$program" k8s.io/kubernetes/cmd/$program
done
