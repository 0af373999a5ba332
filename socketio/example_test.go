// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

func newSystem() *actor.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
}

// call is one HTTP request of a polling client.
func call(method, url, body string) string {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// begin connects a polling client to the main namespace, with an auth payload.
func begin(server *httptest.Server, auth string) (url string) {
	url = server.URL + "/socket.io/?EIO=4&transport=polling"
	open := call("GET", url, "")
	url += "&sid=" + strings.Split(open, `"`)[3]
	call("POST", url, "40"+auth)
	return url
}

// The packets are shown as they travel: 40 connects, 42 is an event, 43 an
// acknowledgement, 44 a refusal.
func Example() {
	sio, err := socketio.NewServer(newSystem(), socketio.Options{})
	if err != nil {
		panic(err)
	}
	sio.OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
		fmt.Printf("connected with %s\n", s.Handshake().Auth)
		return s.Join("everybody")
	})
	socketio.OnAck(sio, "add", func(_ *actors.Task, _ *socketio.Socket, n []int) (int, error) {
		return n[0] + n[1], nil
	})
	socketio.On(sio, "say", func(_ *actors.Task, _ *socketio.Socket, text string) error {
		return sio.To("everybody").Emit("said", text)
	})
	server := httptest.NewServer(sio)
	defer server.Close()

	url := begin(server, `{"user":"ada"}`)
	call("GET", url, "") // the connect packet
	call("POST", url, `421["add",[19,23]]`)
	fmt.Println(call("GET", url, ""))
	call("POST", url, `42["say","hello"]`)
	fmt.Println(call("GET", url, ""))

	call("POST", url, "1") // the client closes
	report, err := sio.Stop(context.Background())
	fmt.Println(report.CutOff, err)
	// Output:
	// connected with {"user":"ada"}
	// 431[42]
	// 42["said","hello"]
	// 0 <nil>
}

func ExampleNamespace_Use() {
	sio, err := socketio.NewServer(newSystem(), socketio.Options{})
	if err != nil {
		panic(err)
	}
	sio.Use(func(_ *actors.Task, s *socketio.Socket) error {
		if !strings.Contains(string(s.Handshake().Auth), "secret") {
			return &socketio.Error{Message: "not authorized", Data: map[string]string{"login": "/login"}}
		}
		return nil
	})
	server := httptest.NewServer(sio)
	defer server.Close()

	url := begin(server, `{"token":"wrong"}`)
	fmt.Println(call("GET", url, ""))
	url2 := begin(server, `{"token":"secret"}`)
	fmt.Println(call("GET", url2, "")[:2])
	call("POST", url, "1")
	call("POST", url2, "1")
	_, _ = sio.Stop(context.Background())
	// Output:
	// 44{"message":"not authorized","data":{"login":"/login"}}
	// 40
}

func ExampleEmitAck() {
	sio, err := socketio.NewServer(newSystem(), socketio.Options{})
	if err != nil {
		panic(err)
	}
	answered := make(chan string)
	socketio.On(sio, "start", func(t *actors.Task, s *socketio.Socket, _ any) error {
		name, err := actors.Await(t, socketio.EmitAck[string](s, "your name?"))
		answered <- name
		return err
	})
	server := httptest.NewServer(sio)
	defer server.Close()

	url := begin(server, "")
	call("GET", url, "")
	call("POST", url, `42["start"]`)
	id, question, _ := strings.Cut(strings.TrimPrefix(call("GET", url, ""), "42"), "[")
	fmt.Println("[" + question)
	call("POST", url, `43`+id+`["Ada"]`)
	fmt.Println(<-answered)
	call("POST", url, "1")
	_, _ = sio.Stop(context.Background())
	// Output:
	// ["your name?"]
	// Ada
}

func ExampleServer_Props() {
	system := newSystem()
	sio, err := socketio.NewServer(system, socketio.Options{})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(sio)
	defer server.Close()

	pid, _ := system.Root.SpawnNamed(sio.Props(), "io") // or as a supervisor's child
	url := begin(server, "")
	stopped := actors.RequestStop(system.Root, pid, 10*time.Second)
	for packets := ""; packets != "1"; { // the client's polls: the last has a close
		packets = call("GET", url, "")
	}
	_, err = stopped.Wait(context.Background())
	fmt.Println(err)
	fmt.Println(call("GET", server.URL+"/socket.io/?EIO=4&transport=polling", ""))
	// Output:
	// <nil>
	// {"code":6,"message":"Service unavailable"}
}
