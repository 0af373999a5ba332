// SPDX-License-Identifier: Apache-2.0

package hubclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/remind"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
	"github.com/protoloop/protoloop/supervisor"
)

// Put puts an item into a cart, and answers how many there are.
var Put actors.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value]

// Cart is what is saved of a cart.
type Cart struct{ Items map[string]bool }

// cartKind has a worker for each cart. It is reminded a day after the last Put.
func cartKind(options state.Options, set *remind.Reminders) grid.Kind {
	return grid.Kind{
		Name: "cart", Idle: 5 * time.Minute,
		Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue](), grid.MessageOf[*emptypb.Empty]()},
		Setup: func(w *actors.Worker, id string) error {
			cart, err := state.Load[Cart](w, id, options)
			if err != nil {
				return err
			}
			Put.Handle(w, func(t *actors.Task, item *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
				err := t.AwaitOffload(func(ctx context.Context) error {
					return set.Set(ctx, remind.Reminder{Kind: "cart", ID: id, Name: "forgotten", At: time.Now().Add(24 * time.Hour), Message: &emptypb.Empty{}})
				})
				if err != nil {
					return nil, err
				}
				var n int
				err = cart.Update(t, func(c *Cart) error { // it may come twice, as from a queue
					if c.Items == nil {
						c.Items = map[string]bool{}
					}
					c.Items[item.Value] = true
					n = len(c.Items)
					return nil
				})
				return wrapperspb.Int64(int64(n)), err
			})
			actors.On(w, func(t *actors.Task, _ *emptypb.Empty) error {
				t.Logger().Info("a cart is forgotten", "cart", id)
				return nil
			})
			return nil
		},
	}
}

// runNode runs a whole node, until ctx ends or a signal comes. The hubs run with -buckets CARTS -queues ORDERS -reminders REMINDERS.
func runNode(ctx context.Context, system *actor.ActorSystem, o hubclient.Options, listen func() (net.Listener, error), metrics http.Handler) (supervisor.Report, error) {
	hubs, err := hubclient.Dial(ctx, o)
	if err != nil {
		return supervisor.Report{}, err
	}
	defer hubs.Close()
	nc, err := hubs.Queues() // of buckets and reminders, too
	if err != nil {
		return supervisor.Report{}, err
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		return supervisor.Report{}, err
	}
	bucket, err := natskv.New(ctx, js, "CARTS")
	if err != nil {
		return supervisor.Report{}, err
	}
	queue, err := jetstream.New(nc, jetstream.Options{Name: "ORDERS"})
	if err != nil {
		return supervisor.Report{}, err
	}
	due, err := reminders.New(nc, reminders.Options{})
	if err != nil {
		return supervisor.Report{}, err
	}
	set, err := remind.New(remind.Options{Store: due}) // before others ask, and so before the grid starts
	if err != nil {
		return supervisor.Report{}, err
	}
	g, err := grid.Start(ctx, system, grid.Options{
		Node: hubs.Node(), Store: hubs.Store(), Net: hubs.Net(),
		Kinds: []grid.Kind{cartKind(state.Options{Store: bucket, Kind: "cart"}, set)},
	})
	if err != nil {
		return supervisor.Report{}, err
	}
	deliver, err := remind.New(remind.Options{Store: due, Grid: g})
	if err != nil {
		return supervisor.Report{}, err
	}
	orders, err := consumer.New(queue.Open, func(t *actors.Task, m consumer.Message) error {
		_, err := Put.Ask(t, g.PID("cart", m.Group), wrapperspb.String(string(m.Body)))
		return err
	}, consumer.Options{Name: "orders"})
	if err != nil {
		return supervisor.Report{}, err
	}
	con, err := console.New(system, console.Options{})
	if err != nil {
		return supervisor.Report{}, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /put", func(w http.ResponseWriter, r *http.Request) {
		n, err := Put.Call(r.Context(), system.Root, g.PID("cart", r.FormValue("cart")), wrapperspb.String(r.FormValue("item")))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(n.Value)
	})
	mux.Handle("/metrics", metrics)
	mux.Handle("/console/", http.StripPrefix("/console", con.Handler()))
	again := actors.Backoff{Initial: time.Second, Max: 30 * time.Second}
	return supervisor.Run(ctx, system, supervisor.Spec{Name: "app", MaxRestarts: 10, Within: time.Minute, Children: []supervisor.Child{
		{Name: "console", Props: actors.Props(con.Setup)},
		{Name: "grid", Props: g.Props(), Shutdown: 20 * time.Second}, // hands its keys over once what is below has stopped
		{Name: "reminders", Props: deliver.Props(), Backoff: again},
		{Name: "orders", Props: orders.Props(), Backoff: again},
		{Name: "web", Props: actors.Props(serve(listen, mux)), Backoff: again},
	}}, nil)
}

// serve is the setup of a worker that serves HTTP.
func serve(listen func() (net.Listener, error), handler http.Handler) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		l, err := listen()
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: handler}
		w.Background("serve", func(t *actors.Task) error {
			err := t.AwaitOffload(func(context.Context) error { return srv.Serve(l) })
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		})
		w.Background("shut down", func(t *actors.Task) error {
			if _, _, err := loopsync.Receive(t, t.Stopping()); err != nil {
				return err
			}
			return t.AwaitOffload(srv.Shutdown)
		})
		w.OnStop(func(*actors.Task) error { return srv.Close() })
		return nil
	}
}

// A whole node: state, a queue and reminders on the hubs, asked over HTTP.
func Example_node() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h, err := hub.Start(ctx, hub.Options{Cluster: "shop", Dir: dir, Buckets: []string{"CARTS"}, Queues: []string{"ORDERS"}, Reminders: []string{"REMINDERS"}})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Shutdown()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	system := actor.NewActorSystem()
	defer system.Shutdown()
	ended := make(chan supervisor.Report)
	go func() {
		report, err := runNode(ctx, system, hubclient.Options{Cluster: "shop", Hubs: []string{h.Addr()}, Node: "a"}, func() (net.Listener, error) { return l, nil }, http.NotFoundHandler())
		if err != nil {
			log.Fatal(err)
		}
		ended <- report
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post("http://"+l.Addr().String()+"/put?cart=ada&item=tea", "", nil) // waits in the listener until the node serves
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	fmt.Print(string(text))
	if err != nil {
		log.Fatal(err)
	}
	cancel()
	fmt.Println((<-ended).Total.Failed, "failed")
	// Output:
	// 1
	// 0 failed
}
