// SPDX-License-Identifier: Apache-2.0

package sqs_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

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
