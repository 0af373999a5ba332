// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Reserve asks for a seat.
type Reserve struct{ Seat string }

var errTaken = errors.New("the seat is taken")

// An HTTP handler is a plain goroutine. Its request's context ends the call when the
// client leaves, Timeout bounds it, and the error says what to answer.
func ExampleCall() {
	ctx := context.Background()
	root := actor.NewActorSystem(actor.WithLoggerFactory(silent)).Root
	seats, err := actors.Spawn(ctx, root, "seats", func(w *actors.Worker) error {
		taken := map[string]bool{}
		actors.Handle(w, func(t *actors.Task, m Reserve) (string, error) {
			switch {
			case m.Seat == "":
				panic("no seat")
			case m.Seat == "late":
				return "", t.Sleep(time.Hour)
			case taken[m.Seat]:
				return "", errTaken
			}
			taken[m.Seat] = true
			return "reserved " + m.Seat, nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	reserve := func(w http.ResponseWriter, r *http.Request) {
		answer, err := actors.Call[string](r.Context(), root, seats, Reserve{r.FormValue("seat")}, actors.Timeout(100*time.Millisecond))
		switch {
		case err == nil:
			fmt.Fprint(w, answer)
		case errors.Is(err, errTaken): // an answer of the worker's own
			http.Error(w, err.Error(), http.StatusConflict)
		case actors.RetrySafe(err): // it has not run: the client may try again
			w.Header().Set("Retry-After", "1")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case errors.Is(err, actors.ErrTimeout): // it may have run
			http.Error(w, "timeout", http.StatusGatewayTimeout)
		case errors.Is(err, actors.ErrCanceled): // the client has left
		default: // a panic, for instance
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}

	ask := func(ctx context.Context, seat string) {
		w := httptest.NewRecorder()
		reserve(w, httptest.NewRequestWithContext(ctx, "POST", "/reserve?seat="+seat, nil))
		fmt.Println(w.Code)
	}
	ask(ctx, "1A")
	ask(ctx, "1A")
	ask(ctx, "")
	ask(ctx, "late")
	actors.Stop(ctx, root, seats, 0)
	ask(ctx, "1B")
	// Output:
	// 200
	// 409
	// 500
	// 504
	// 503
}
