// Command apiserver is kube-apiserver, and a client that does to it what an audit log should show.
//
// Both are one program because linking the API server is most of the work, and client-go is part of it anyway.
package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // as upstream: --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as upstream: metrics of its own clients
	_ "k8s.io/component-base/metrics/prometheus/version"  // as upstream: kubernetes_build_info
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch command {
	case "apiserver":
		// The name is seen in the audit log: it is in the user agent of the API server's calls to itself.
		os.Args = append([]string{"kube-apiserver"}, os.Args[2:]...)
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "acts":
		os.Args = append([]string{"acts"}, os.Args[2:]...)
		os.Exit(runActs(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "usage: %s apiserver FLAG... | acts --server URL --token TOKEN ACT...\n", os.Args[0])
		os.Exit(2)
	}
}
