// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/admin"
)

// The admin namespace has the server tell of what happens as long as somebody looks, and
// nothing of that is left behind.
func TestAdminLooksOn(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		if _, err := admin.New(w.io, admin.Options{Authorize: admin.Basic("ann", "secret", admin.Look)}); err != nil {
			t.Fatal(err)
		}
		p := w.dial()
		p.send(`40/admin,{"username":"ann","password":"wrong"}`)
		began := time.Now()
		p.expect(`44/admin,{"message":"invalid credentials"}`)
		if d := time.Since(began); d != time.Second || w.io.Observed() {
			t.Errorf("it was refused after %v; somebody is told: %v", d, w.io.Observed())
		}
		p.send(`40/admin,{"username":"ann","password":"secret"}`)
		for _, want := range []string{"40/admin,", `42/admin,["session",`, `42/admin,["config",`, `42/admin,["all_sockets",`, `42/admin,["server_stats",`} {
			if got := p.next(); !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		p.quiet()
		if !w.io.Observed() {
			t.Error("nobody is told while somebody looks")
		}
		time.Sleep(2 * time.Second)
		if got := p.next(); !strings.HasPrefix(got, `42/admin,["server_stats",`) {
			t.Errorf("two seconds later it gets %s", got)
		}
		p.send("41/admin,")
		synctest.Wait()
		if w.io.Observed() {
			t.Error("somebody is told when nobody looks any more")
		}
		time.Sleep(time.Minute)
		p.quiet()
		if r, err := w.io.Stop(context.Background()); err != nil || r.CutOff != 0 {
			t.Errorf("%v, %v", r, err)
		}
	})
}
