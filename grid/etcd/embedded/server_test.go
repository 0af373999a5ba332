// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
	"github.com/protoloop/protoloop/internal/dirlock"
)

// quiet is a logger for what is meant to fail.
var quiet = slog.New(slog.DiscardHandler)

func TestServerOptions(t *testing.T) {
	cert := &embedded.Certificates{Cert: "c", Key: "k", CA: "ca"}
	for _, try := range []struct {
		field string
		o     embedded.Options
	}{
		{"Options.Dir", embedded.Options{}},
		{"Options.StartWithin", embedded.Options{Dir: "d", StartWithin: -1}},
		{"Options.Certificates", embedded.Options{Dir: "d", Certificates: &embedded.Certificates{Cert: "c", Key: "k"}}},
		{"Options.ClientAddr", embedded.Options{Dir: "d", ClientAddr: "127.0.0.1"}},
		{"Options.ClientAddr", embedded.Options{Dir: "d", ClientAddr: "example.org:1", Certificates: cert}},
		{"Options.ClientAddr", embedded.Options{Dir: "d", ClientAddr: "10.0.0.1:2379"}},
		{"Options.ClientAddr", embedded.Options{Dir: "d", ClientAddr: "0.0.0.0:2379"}},
		{"Options.ClientAddr", embedded.Options{Dir: "d", ClientAddr: ":2379"}},
		{"Options.Name", embedded.Options{Dir: "d", Servers: map[string]string{"a": "127.0.0.1:1"}}},
		{"Options.Servers", embedded.Options{Dir: "d", Name: "a", Servers: map[string]string{"a": "127.0.0.1:1", "b=": "127.0.0.1:2"}}},
		{`Options.Servers["b"]`, embedded.Options{Dir: "d", Name: "a", Servers: map[string]string{"a": "127.0.0.1:1", "b": "192.0.2.1:2"}}},
	} {
		srv, err := embedded.Start(try.o)
		if mistake := (*actors.OptionError)(nil); !errors.As(err, &mistake) || mistake.Field != try.field {
			t.Errorf("%s of %+v: %v", try.field, try.o, err)
		}
		if srv != nil {
			srv.Shutdown()
		}
	}
}

// TestServersFolder: it has one server at a time, and the next has what was stored.
func TestServersFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var last uint64
	for range 3 {
		srv, err := embedded.Start(embedded.Options{Dir: dir, StartWithin: 5 * time.Minute})
		must(t, err)
		if _, err := embedded.Start(embedded.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second server: %v", err)
		}
		client, err := srv.Connect()
		must(t, err)
		store := newStore(t, client, "c")
		s := join(t, store, "a")
		token := claim(t, s, 1)[1]
		if token.Rev <= last {
			t.Errorf("%v after %d", token, last)
		}
		last = token.Rev
		must(t, s.Leave(t.Context()))
		store.Close()
		client.Close()
		srv.Shutdown()
	}
}

// TestShutdownOfAFailedServer: one that cannot commit fails with the lock of its storage held, which its end would wait for. It is
// abandoned, and keeps its folder.
func TestShutdownOfAFailedServer(t *testing.T) {
	dir := t.TempDir()
	srv, err := embedded.Start(embedded.Options{Dir: dir, StartWithin: 5 * time.Minute, Logger: quiet})
	must(t, err)
	failed := srv.Failed()
	release := srv.Hang("no space left")
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	srv.Shutdown()
	if _, err := embedded.Start(embedded.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a server beside one that has not ended: %v", err)
	}
	release()
	isUnlocked(t, dir)
}

// TestServerCannotUseItsFolder is told, and why. Nothing of it is in the way of the next.
func TestServerCannotUseItsFolder(t *testing.T) {
	if _, err := embedded.Start(embedded.Options{Dir: "/dev/null/x"}); err == nil {
		t.Error("a server has started where no folder can be")
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o600))
	for range 2 {
		_, err := embedded.Start(embedded.Options{Dir: dir, Logger: quiet})
		if err == nil || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "in use") {
			t.Fatalf("a file is in the way: %v", err)
		}
		isUnlocked(t, dir)
	}
	dir = t.TempDir()
	srv, err := embedded.Start(embedded.Options{Dir: dir, StartWithin: 5 * time.Minute})
	must(t, err)
	srv.Shutdown()
	must(t, os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), bytes.Repeat([]byte("damaged "), 10_000), 0o600))
	cmd := exec.Command(os.Args[0]) // etcd waits for ever for what has ended, so it is another process
	cmd.Env = append(os.Environ(), fmt.Sprintf(`%s={"Dir":%q,"Verbose":true}`, serverVariable, dir))
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	out, err := cmd.CombinedOutput()
	if text := string(out); err == nil || !strings.Contains(text, "cannot use "+dir+": it has given up: failed to open database: ") || !strings.Contains(text, "ERROR embedded: failed to open database dir="+dir) {
		t.Errorf("a damaged file: %v, %s", err, out)
	}
}

// TestServerWaitsForOthers: alone it is not ready, and says why.
func TestServerWaitsForOthers(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		_, err := embedded.Start(embedded.Options{
			Dir: dir, Name: "a", Servers: map[string]string{"a": "127.0.0.1:0", "b": "127.0.0.1:1", "c": "127.0.0.1:2"}, StartWithin: time.Second, Logger: quiet,
		})
		if err == nil || !strings.Contains(err.Error(), "more than half") {
			t.Errorf("alone: %v", err)
		}
		isUnlocked(t, dir)
	}
}

// isUnlocked waits until nobody has a folder.
func isUnlocked(t *testing.T, dir string) {
	t.Helper()
	actortest.Eventually(t, "the folder is unlocked", func() bool {
		unlock, err := dirlock.Lock(dir)
		if err == nil {
			unlock()
		}
		return err == nil
	})
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes a certificate for a name, and its key.
func (a *authority) sign(name string, c *x509.Certificate) *embedded.Certificates {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if a.cert == nil {
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	if a.cert == c {
		a.cert, err = x509.ParseCertificate(der)
		must(a.t, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	files := &embedded.Certificates{Cert: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key"), CA: filepath.Join(a.dir, "ca.pem")}
	must(a.t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(a.t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return files
}

func (a *authority) server(name string) *embedded.Certificates {
	return a.sign(name, &x509.Certificate{
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

// client has the certificate of a name that others have signed, if it has one, and takes the server's.
func (a *authority) client(srv *embedded.Server, c *embedded.Certificates) *clientv3.Client {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	config := &tls.Config{RootCAs: roots}
	if c != nil {
		cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		must(a.t, err)
		config.Certificates = []tls.Certificate{cert}
	}
	return dial(a.t, clientv3.Config{Endpoints: []string{srv.Endpoint()}, TLS: config})
}

func dial(t *testing.T, c clientv3.Config) *clientv3.Client {
	t.Helper()
	c.Logger = zap.NewNop()
	client, err := clientv3.New(c)
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// tryJoin is the error of a join that cannot succeed, and is told so within a time, or not.
func tryJoin(t *testing.T, client *clientv3.Client, cluster string, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := newQuietStore(t, client, cluster).Join(ctx, grid.Node{Name: "a", Shards: 4}, time.Second)
	if err == nil {
		t.Fatal("it has joined")
	}
	return err
}

// TestCertificates: who has none of the CA's is refused. With the certificate's name as the user, each has the rights of that.
func TestCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	srv, err := embedded.Start(embedded.WithCheapPasswords(embedded.Options{Dir: t.TempDir(), Certificates: ca.server("root"), Logger: quiet, StartWithin: 5 * time.Minute}))
	must(t, err)
	t.Cleanup(srv.Shutdown)
	root := connect(t, srv)
	join(t, newStore(t, root, "c"), "a")
	for what, client := range map[string]*clientv3.Client{
		"no certificate":      ca.client(srv, nil),
		"another's":           ca.client(srv, other.server("root")),
		"no TLS":              dial(t, clientv3.Config{Endpoints: []string{strings.Replace(srv.Endpoint(), "https", "http", 1)}}),
		"another's server CA": other.client(srv, ca.server("node")),
	} {
		t.Log(what, ": ", tryJoin(t, client, "c", time.Second))
	}
	enableAuth(t, root)
	node := ca.client(srv, ca.server("node"))
	join(t, newStore(t, node, "c"), "b")
	if err := tryJoin(t, node, "d", 5*time.Minute); !strings.Contains(err.Error(), "needs readwrite of the prefix /pl/d/") {
		t.Error(err)
	}
	must(t, second(root.AuthDisable(t.Context())))
}

func second[T any](_ T, err error) error { return err }

// enableAuth gives the user node the rights of a node of the cluster c, and root all.
func enableAuth(t *testing.T, root *clientv3.Client) {
	t.Helper()
	ctx := t.Context()
	must(t, second(root.UserAdd(ctx, "root", "secret")))
	must(t, second(root.UserGrantRole(ctx, "root", "root")))
	must(t, second(root.RoleAdd(ctx, "nodes")))
	must(t, second(root.RoleGrantPermission(ctx, "nodes", "/pl/c/", clientv3.GetPrefixRangeEnd("/pl/c/"), clientv3.PermissionType(clientv3.PermReadWrite))))
	must(t, second(root.UserAdd(ctx, "node", "password")))
	must(t, second(root.UserGrantRole(ctx, "node", "nodes")))
	must(t, second(root.AuthEnable(ctx)))
}

// TestPasswords: a node has all rights that it needs by those of its prefix, and is told what it lacks.
func TestPasswords(t *testing.T) {
	srv, err := embedded.Start(embedded.WithCheapPasswords(embedded.Options{Dir: t.TempDir(), StartWithin: 5 * time.Minute, Logger: quiet}))
	must(t, err)
	t.Cleanup(srv.Shutdown)
	anybody := connect(t, srv)
	enableAuth(t, anybody)
	if err := tryJoin(t, anybody, "c", 5*time.Minute); !strings.Contains(err.Error(), "wants to know the user") {
		t.Error(err)
	}
	client := dial(t, clientv3.Config{Endpoints: []string{srv.Endpoint()}, Username: "node", Password: "password"})
	if err := tryJoin(t, client, "cc", 5*time.Minute); !strings.Contains(err.Error(), "needs readwrite of the prefix /pl/cc/") {
		t.Error(err)
	}
	a := join(t, newStore(t, client, "c"), "a")
	claim(t, a, allShards...)
	b := join(t, newStore(t, client, "c"), "b")
	claim(t, b, allShards...)
	must(t, a.Leave(t.Context()))
	for range allShards {
		<-b.Free()
	}
}
