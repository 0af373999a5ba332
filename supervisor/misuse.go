package supervisor

import (
	"context"
	"fmt"

	"github.com/protoloop/protoloop/internal/link"
)

// notInTask panics if ctx is nil, or that of a task: to wait there would block its
// worker and, if that is a child, hold up the very thing it waits for.
func notInTask(ctx context.Context, what, instead string) {
	if ctx == nil {
		panic(fmt.Sprintf("supervisor: %s called with a nil context", what))
	}
	if link.InTask(ctx) {
		panic(fmt.Sprintf("supervisor: %s called with the context of a task: it would block the worker; %s", what, instead))
	}
}

const offload = "call it in actors.Offload"
