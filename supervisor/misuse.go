package supervisor

import (
	"context"
	"fmt"

	"github.com/protoloop/protoloop/actors"
)

// notInTask panics if ctx is that of a task: to wait there would block its
// worker and, if that is a child, hold up the very thing it waits for.
//
// Only package actors can tell, by Future.Wait; with a context that has ended
// it does nothing else.
func notInTask(ctx context.Context, what, instead string) {
	ended, end := context.WithCancel(ctx)
	end()
	defer func() {
		if v := recover(); v != nil {
			panic(fmt.Sprintf("supervisor: %s called with the context of a task: it would block the worker; %s", what, instead))
		}
	}()
	_, _ = actors.NewPromise[struct{}]().Future().Wait(ended)
}

const offload = "call it in actors.Offload"
