// Reads Kubernetes documents, one a line as JSON, as the API's own types of one minor version hold them: strictly, so that a
// kind or a field that this minor does not know is an error.
package main

import (
	"bufio"
	"fmt"
	"os"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

func main() {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistration.AddToScheme, apps.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme,
		policy.AddToScheme, rbac.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	read, refused := 0, 0
	for lines.Scan() {
		read++
		if _, _, err := decoder.Decode(lines.Bytes(), nil, nil); err != nil {
			refused++
			fmt.Println(err)
		}
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
	fmt.Printf("%d documents, %d refused\n", read, refused)
	if refused > 0 || read == 0 {
		os.Exit(1)
	}
}
