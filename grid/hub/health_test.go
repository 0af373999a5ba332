// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/grid/hub"
)

// TestHealthAtTheEnd: somebody may ask for the health of a hub while it is shut down, and afterwards.
func TestHealthAtTheEnd(t *testing.T) {
	h, err := hub.Start(t.Context(), hub.Options{Cluster: "shop", Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	asked, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_ = h.Health(ctx)
			cancel()
			if i == 0 {
				close(asked)
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})
	<-asked
	h.Shutdown()
	close(over)
	wg.Wait()
	if err := h.Health(t.Context()); err == nil {
		t.Error("it is well when it is shut down")
	}
}
