package supervisor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

func TestMain(m *testing.M) { actortest.Main(m) }

type crash struct{}
type ping struct{}

func echo(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, _ ping) (string, error) { return "pong", nil })
	actors.Handle(w, func(t *actors.Task, _ crash) (string, error) { panic("boom") })
	return nil
}

func TestFirst(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		s, err := supervisor.Start(sys, supervisor.Spec{Name: "app", MaxRestarts: 3, Children: []supervisor.Child{
			{Name: "a", Props: actors.Props(echo)},
			{Name: "b", Props: actors.Props(echo), Backoff: supervisor.Backoff{Initial: time.Second}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			v, err := actors.RequestFuture[string](sys.Root, s.Child(name), ping{}).Wait(t.Context())
			t.Log(v, err)
			_, err = actors.RequestFuture[string](sys.Root, s.Child(name), crash{}).Wait(t.Context())
			var p *actors.PanicError
			if !errors.As(err, &p) {
				t.Error(err)
			}
			v, err = actors.RequestFuture[string](sys.Root, s.Child(name), ping{}).Wait(t.Context())
			t.Log(v, err)
		}
		t.Logf("%+v", s.Children())
		r, err := s.Stop(t.Context())
		t.Log(err, "\n"+r.String())
	})
}
