// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/admin"
)

// TestAdminIsAttacked: whatever npm's client sends to the admin namespace, nobody gets in without a password, who has one sees all there
// is, and nothing is left of those who were cut off.
func TestAdminIsAttacked(t *testing.T) {
	t.Parallel()
	needNode(t)
	sys := actortest.NewSystem(t)
	io, err := socketio.NewServer(sys, socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.New(io, admin.Options{Authorize: admin.Basic("ann", "secret", admin.Act), Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	socketio.OnAck(io, "join", func(_ *actors.Task, s *socketio.Socket, rooms []string) (bool, error) { return true, s.Join(rooms...) })
	server := httptest.NewServer(io)
	defer server.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if report, err := io.Stop(ctx); err != nil {
			t.Error(report, err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "admin.cjs", server.URL[strings.LastIndexByte(server.URL, ':')+1:]).CombinedOutput()
	want := `refused 29 of 29
the page knows all rooms: true dropped: false
actions refused 13 of 13
page is told: yes
clients gone: yes
`
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	actortest.Eventually(t, "all sessions end", func() bool { return io.Stats().Sessions == 0 })
	actortest.Eventually(t, "no task is left", func() bool {
		for _, w := range inspect.Look(sys, inspect.Options{Groups: true, Tasks: -1}).Groups {
			if strings.Contains(w.Task, "admin") {
				return false
			}
		}
		return len(io.Sockets()) == 0 && len(io.Of("/admin").Sockets()) == 0
	})
}
