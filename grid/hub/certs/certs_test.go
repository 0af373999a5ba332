// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/protoloop/protoloop/grid/hub/certs"
)

func development(t *testing.T, dir string) *certs.Authority {
	t.Helper()
	a, err := certs.Development(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// handshake is what both sides say.
func handshake(t *testing.T, server, client certs.Files, ip string) (*x509.Certificate, error, error) {
	t.Helper()
	s, err := server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.TLS()
	if err != nil {
		t.Fatal(err)
	}
	c.ServerName = ip
	left, right := net.Pipe()
	defer left.Close()
	var seen *x509.Certificate
	var serverErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer right.Close()
		conn := tls.Server(right, s)
		if serverErr = conn.Handshake(); serverErr == nil {
			seen = conn.ConnectionState().PeerCertificates[0]
			_, serverErr = conn.Write([]byte("x"))
		}
	})
	conn := tls.Client(left, c)
	clientErr := conn.Handshake()
	if clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 1))
	}
	left.Close()
	wg.Wait()
	return seen, serverErr, clientErr
}

// TestCertificates: a node and a hub know each other, and nobody else.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	a := development(t, dir)
	hub, err := a.Hub("hub-1", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	node, err := a.Node("a b/..")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := node.Name(); name != "a b/.." || err != nil {
		t.Errorf("the node is called %q, %v", name, err)
	}
	seen, serverErr, clientErr := handshake(t, hub, node, "127.0.0.1")
	if serverErr != nil || clientErr != nil || seen.Subject.CommonName != "a b/.." {
		t.Errorf("%v, %v", serverErr, clientErr)
	}
	if _, _, err := handshake(t, hub, node, "127.0.0.2"); err == nil {
		t.Error("a hub is taken at another address")
	}
	if _, _, err := handshake(t, node, node, "127.0.0.1"); err == nil {
		t.Error("a node is taken for a hub")
	}
	other := development(t, t.TempDir())
	foreign, err := other.Node("a b/..")
	if err != nil {
		t.Fatal(err)
	}
	foreign.CA = node.CA
	if _, err, _ := handshake(t, hub, foreign, "127.0.0.1"); err == nil {
		t.Error("a node of another authority is taken")
	}
	if err := hub.CheckHub("hub-1", "127.0.0.1"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"is called": hub.CheckHub("hub-2", "127.0.0.1"), "does not name the address": hub.CheckHub("hub-1", "10.0.0.1"),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Keys are their owner's, and so is all that is beside.
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestKept: what is there is used again, and a hub with another address gets a new one. Several may make an
// authority at a time.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if a, err := certs.Development(dir); err != nil {
				t.Error(err)
			} else if _, err := a.Node("a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	issue := func(ip string) string {
		t.Helper()
		f, err := development(t, dir).Hub("hub", ip)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := os.ReadFile(f.Cert)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem)
	}
	first := issue("127.0.0.1")
	if issue("127.0.0.1") != first {
		t.Error("it is made anew each time")
	}
	if issue("127.0.0.2") == first {
		t.Error("it has the former address")
	}
	if _, err := development(t, dir).Hub("hub", "localhost"); err == nil {
		t.Error("a name is no IP address")
	}
	if _, err := development(t, dir).Node(""); err == nil {
		t.Error("a node without a name")
	}
}

// TestMistakes: what is missing or wrong is named.
func TestMistakes(t *testing.T) {
	node, err := development(t, t.TempDir()).Node("a")
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []certs.Files{{}, {Cert: node.Cert, Key: node.Key}, {Cert: "/missing", Key: node.Key, CA: node.CA}, {Cert: node.Cert, Key: node.Key, CA: "/missing"}, {Cert: node.Cert, Key: node.Key, CA: empty}, {Cert: node.Cert, Key: empty, CA: node.CA}} {
		if _, err := f.TLS(); err == nil || !strings.HasPrefix(err.Error(), "certs: ") {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if err := node.CheckHub("a", "127.0.0.1"); err == nil {
		t.Error("a node's certificate is good for a hub")
	}
}
