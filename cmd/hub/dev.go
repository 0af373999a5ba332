// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"

	"github.com/protoloop/protoloop/grid/hub/certs"
)

// makeCertificates makes those of the hub and of the nodes, as far as they are not there.
func (c *command) makeCertificates() (nodes map[string]certs.Files, err error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, err
	}
	a, err := certs.Development(filepath.Join(dir, "certificates"))
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(c.Hubs[c.Name])
	if err != nil {
		return nil, err
	}
	if *c.Certificates, err = a.Hub(c.Name, host); err != nil {
		return nil, err
	}
	nodes = map[string]certs.Files{}
	for name := range eachOf(c.nodes) {
		if nodes[name], err = a.Node(name); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// printHowToJoin prints what a node's program needs.
func (c *command) printHowToJoin(w io.Writer, addr string, nodes map[string]certs.Files) {
	if len(nodes) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(nodes))
	f := nodes[names[0]]
	fmt.Fprintf(w, `
The node %s joins by

	hubs, err := hubclient.Dial(ctx, hubclient.Options{
		Cluster: %q, Hubs: []string{%q},
		Certificates: &certs.Files{
			Cert: %q,
			Key:  %q,
			CA:   %q,
		},
	})

`, names[0], c.Cluster, addr, f.Cert, f.Key, f.CA)
	for _, name := range names[1:] {
		fmt.Fprintf(w, "The certificate of the node %s is in %s\n", name, filepath.Dir(nodes[name].Cert))
	}
	fmt.Fprintf(w, "Those of others are made by -nodes. Whoever can read %s can be any node: it is for development only.\n", filepath.Dir(filepath.Dir(f.CA)))
}
