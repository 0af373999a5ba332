package actors_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func quiet() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := quiet()
		b, err := actors.Spawn(t.Context(), sys.Root, "b", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, n int) (int, error) {
				if err := t.Sleep(time.Second); err != nil {
					return 0, err
				}
				if n < 0 {
					return 0, errors.New("negative")
				}
				if n == 99 {
					panic("ninety-nine")
				}
				return 2 * n, nil
			})
			return nil
		}, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := actors.Spawn(t.Context(), sys.Root, "a", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, n int) (int, error) {
				x, err := actors.Ask[int](t, b, n)
				return x + 1, err
			})
			return nil
		}, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		f := actors.RequestFuture[int](sys.Root, a, 20)
		if v, err := f.Wait(context.Background()); v != 41 || err != nil {
			t.Error(v, err)
		}
		_, err = actors.RequestFuture[int](sys.Root, a, -1).Wait(t.Context())
		if err == nil || err.Error() != "negative" {
			t.Error(err)
		}
		_, err = actors.RequestFuture[int](sys.Root, a, 5, actors.Timeout(time.Millisecond)).Wait(t.Context())
		if !errors.Is(err, actors.ErrTimeout) {
			t.Error(err)
		}
		_, err = actors.RequestFuture[int](sys.Root, a, 99).Wait(t.Context())
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "ninety-nine" {
			t.Error(err)
		}
		v, err := actors.RequestFuture[int](sys.Root, a, 7).Wait(t.Context())
		if v != 15 || err != nil {
			t.Error(v, err)
		}
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if s, ok := c.Message().(string); ok {
				c.Respond(s + "!")
			}
		}))
		s, err := actors.RequestFuture[string](sys.Root, plain, "x").Wait(t.Context())
		if s != "x!" || err != nil {
			t.Error(s, err)
		}
		drop := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if s, ok := c.Message().(string); ok {
				k := actors.TaskOf(c)
				v, err := actors.Ask[int](k, a, 4)
				c.Respond([]any{s, v, err})
			}
		}, actors.EventLoop(actors.Options{})))
		ff := sys.Root.RequestFuture(drop, "s", 5*time.Second)
		r, err := ff.Result()
		t.Log(r, err)
		_ = sys.Root.PoisonFuture(drop).Wait()
		for _, pid := range []*actor.PID{a, b} {
			st, err := actors.Stop(sys.Root, pid, 0).Wait(t.Context())
			t.Log(st, err)
		}
		sys.Root.Stop(plain)
		synctest.Wait()
	})
}

func BenchmarkBurst(b *testing.B) {
	b.ReportAllocs()
	sys := quiet()
	w, _ := actors.Spawn(b.Context(), sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, n int) (int, error) { return n, nil })
		return nil
	}, actors.Options{})
	ctx := context.Background()
	fs := make([]*actors.Future[int], 1000)
	b.Run("submit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = actors.Submit(sys.Root, w, func(*actors.Task) (int, error) { return j, nil })
			}
			for _, f := range fs {
				f.Wait(ctx)
			}
		}
	})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = actors.RequestFuture[int](sys.Root, w, j)
			}
			for _, f := range fs {
				f.Wait(ctx)
			}
		}
	})
	b.Run("request-timeout", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = actors.RequestFuture[int](sys.Root, w, j, actors.Timeout(5*time.Second))
			}
			for _, f := range fs {
				f.Wait(ctx)
			}
		}
	})
	b.Run("seq", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			actors.Submit(sys.Root, w, func(*actors.Task) (int, error) { return 1, nil }).Wait(ctx)
		}
	})
	v, _ := actors.Spawn(b.Context(), sys.Root, "v", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, n int) (int, error) { return n, nil })
		return nil
	}, actors.Options{})
	b.Run("await2", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = actors.Submit(sys.Root, w, func(t *actors.Task) (int, error) { return actors.Ask[int](t, v, 1) })
			}
			for _, f := range fs {
				f.Wait(ctx)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if s, ok := c.Message().(int); ok {
				c.Respond(s)
			}
		}))
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = actors.RequestFuture[int](sys.Root, plain, j)
			}
			for _, f := range fs {
				f.Wait(ctx)
			}
		}
	})
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if s, ok := c.Message().(int); ok {
				c.Respond(s)
			}
		}))
		fs := make([]*actor.Future, 1000)
		for i := 0; i < b.N; i += len(fs) {
			for j := range fs {
				fs[j] = sys.Root.RequestFuture(plain, j, time.Minute)
			}
			for _, f := range fs {
				f.Result()
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		b.ReportAllocs()
		actors.Submit(sys.Root, w, func(t *actors.Task) (int, error) {
			for i := 0; i < b.N; i++ {
				actors.Start(t, func(t *actors.Task) (int, error) { return i, nil })
			}
			return 0, nil
		}).Wait(ctx)
	})
	b.Run("go", func(b *testing.B) {
		b.ReportAllocs()
		cs := make([]chan int, 1000)
		for i := 0; i < b.N; i += len(cs) {
			for j := range cs {
				c := make(chan int, 1)
				cs[j] = c
				go func() { c <- j }()
			}
			for _, c := range cs {
				<-c
			}
		}
	})
}
