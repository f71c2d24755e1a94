package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// readers is how many gets of many-reads are under way at a time.
const readers = 8

// An act is one request; it returns what it is about. Each has a name of its own, so that it can be done again.
var acts = map[string]func(context.Context, kubernetes.Interface) (string, error){
	"privileged-pod": func(ctx context.Context, client kubernetes.Interface) (string, error) {
		pod := newPod("privileged-")
		privileged := true
		pod.Spec.Containers[0].SecurityContext = &core.SecurityContext{Privileged: &privileged}
		return createPod(ctx, client, pod)
	},
	"hostpath-pod": func(ctx context.Context, client kubernetes.Interface) (string, error) {
		pod := newPod("hostpath-")
		pod.Spec.Volumes = []core.Volume{{
			Name:         "host",
			VolumeSource: core.VolumeSource{HostPath: &core.HostPathVolumeSource{Path: "/etc"}},
		}}
		pod.Spec.Containers[0].VolumeMounts = []core.VolumeMount{{Name: "host", MountPath: "/host"}}
		return createPod(ctx, client, pod)
	},
	"cluster-admin-binding": func(ctx context.Context, client kubernetes.Interface) (string, error) {
		return bind(ctx, client, "cluster-admin", rbac.UserKind, "mallory")
	},
	"anonymous-binding": func(ctx context.Context, client kubernetes.Interface) (string, error) {
		return bind(ctx, client, "view", rbac.GroupKind, "system:unauthenticated")
	},
	"secrets-list": func(ctx context.Context, client kubernetes.Interface) (string, error) {
		_, err := client.CoreV1().Secrets("").List(ctx, meta.ListOptions{})
		return "secrets", err
	},
}

func newPod(prefix string) *core.Pod {
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: prefix + rand.String(5)},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "main", Image: "registry.example.com/main:1"}}},
	}
}

func createPod(ctx context.Context, client kubernetes.Interface, pod *core.Pod) (string, error) {
	_, err := client.CoreV1().Pods("default").Create(ctx, pod, meta.CreateOptions{})
	return "pods/" + pod.Name, err
}

func bind(ctx context.Context, client kubernetes.Interface, role, kind, subject string) (string, error) {
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: role + "-" + rand.String(5)},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: kind, Name: subject}},
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{})
	return "clusterrolebindings/" + binding.Name, err
}

// manyReads gets a config map of its own, made once: without a controller manager there is none that is sure to exist.
func manyReads(ctx context.Context, client kubernetes.Interface, count int) error {
	configMaps := client.CoreV1().ConfigMaps("default")
	target := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "many-reads"}}
	if _, err := configMaps.Create(ctx, target, meta.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	turns := make(chan struct{}, count)
	for range count {
		turns <- struct{}{}
	}
	close(turns)
	failures := make(chan error, readers)
	var group sync.WaitGroup
	for range readers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range turns {
				if _, err := configMaps.Get(ctx, target.Name, meta.GetOptions{}); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

// answer is what client-go hides of the last one: its status, and the ID of the audit event.
type answer struct {
	status  int
	auditID string
}

// recorder passes requests on and keeps the last answer.
type recorder struct {
	next http.RoundTripper
	last *atomic.Pointer[answer]
}

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil {
		r.last.Store(&answer{response.StatusCode, response.Header.Get("Audit-Id")})
	}
	return response, err
}

// runActs performs the acts in turn and prints "ACT STATUS AUDIT-ID OBJECT" of each. A refused act is an act too: its line
// is printed and the next one follows, but the exit status is 1.
func runActs(arguments []string) int {
	flags := flag.NewFlagSet("acts", flag.ExitOnError)
	server := flags.String("server", "", "URL of the API server; its certificate is not verified")
	token := flags.String("token", "", "bearer token of a user")
	flags.Parse(arguments)
	names := flags.Args()
	if *server == "" || *token == "" || len(names) == 0 {
		return fail(2, "--server, --token and at least one act are needed")
	}

	var last atomic.Pointer[answer]
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            *server,
		BearerToken:     *token,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		QPS:             -1, // no limit: many-reads is load. No timeout either: it would show in every URL of the audit log.
		WrapTransport:   func(next http.RoundTripper) http.RoundTripper { return recorder{next, &last} },
	})
	if err != nil {
		return fail(2, "%v", err)
	}

	ctx := context.Background()
	status := 0
	for i := 0; i < len(names); i++ {
		name := names[i]
		if name == "many-reads" {
			i++
			count := 0
			if i < len(names) {
				count, _ = strconv.Atoi(names[i])
			}
			if count <= 0 {
				return fail(2, "many-reads: a number of reads must follow")
			}
			started := time.Now()
			if err := manyReads(ctx, client, count); err != nil {
				return fail(1, "many-reads: %v", err)
			}
			fmt.Printf("many-reads %d in %.1f s\n", count, time.Since(started).Seconds())
			continue
		}
		act, known := acts[name]
		if !known {
			return fail(2, "%s: no such act; there are many-reads N, %s", name, strings.Join(slices.Sorted(maps.Keys(acts)), ", "))
		}
		last.Store(nil)
		object, err := act(ctx, client)
		got := last.Load()
		if got == nil {
			return fail(1, "%s: %v", name, err)
		}
		fmt.Println(name, got.status, got.auditID, object)
		if err != nil {
			status = fail(1, "%s: %v", name, err)
		}
	}
	return status
}

func fail(status int, format string, values ...any) int {
	fmt.Fprintf(os.Stderr, "acts: "+format+"\n", values...)
	return status
}
