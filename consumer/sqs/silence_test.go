// SPDX-License-Identifier: Apache-2.0

package sqs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/sqs"
)

// pipes is a listener whose connections are pipes in memory, for virtual time.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	c, open := <-p.conns
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p.conns); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// TestSilence: a long poll whose answer never comes ends, counts as trouble, and is
// followed by another one.
func TestSilence(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var polls atomic.Int64
		p := pipes{make(chan net.Conn)}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
				n := polls.Add(1)
				if n == 1 || n > 2 {
					<-r.Context().Done() // it says nothing any more
					return
				}
				_, _ = io.WriteString(w, `{"Messages":[{"MessageId":"1","ReceiptHandle":"h","Body":"x"}]}`)
				return
			}
			_, _ = io.WriteString(w, `{"Successful":[{"Id":"0"}]}`)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(p) }()
		transport := &http.Transport{DialContext: p.dial}
		client := awssqs.New(awssqs.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://pipe"),
			Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""), HTTPClient: &http.Client{Transport: transport}})
		q, err := sqs.New(client, sqs.Options{URL: "http://pipe/q"})
		if err != nil {
			t.Fatal(err)
		}
		var handled atomic.Int64
		c, err := consumer.New(q.Open, func(*actors.Task, consumer.Message) error { handled.Add(1); return nil }, consumer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pid := actortest.Spawn(t, sys.Root, "consumer", c.Setup, actors.Options{})
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if s := c.Stats(); s.Trouble != 1 || handled.Load() != 1 || s.Acked != 1 {
			t.Errorf("%d handled after half a minute: %v", handled.Load(), s)
		}
		actortest.Stop(t, sys.Root, pid, time.Second)
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
