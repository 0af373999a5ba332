// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

// TestRepeats: what a server says again and again is told five times a minute, whatever ports it names, and how often it was not.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := actortest.NewLog()
		server := embedded.LoggerOf(slog.New(log))
		const rejected, hundred = "rejected connection", 100
		say := func() {
			for port := range hundred {
				server.Warn(rejected, zap.Error(fmt.Errorf("read tcp 127.0.0.1:%d: connection reset", 40_000+port)))
			}
		}
		say()
		if n := len(log.Find(slog.LevelWarn, rejected)); n != 5 {
			t.Errorf("told %d times", n)
		}
		server.Warn(rejected, zap.Error(errors.New("another reason")))
		server.Error("another message")
		if n := len(log.Records()); n != 7 {
			t.Errorf("%d records", n)
		}
		time.Sleep(time.Minute)
		say()
		all := log.Find(slog.LevelWarn, rejected)
		if len(all) != 11 || all[6].Attr("not told") != int64(hundred-5) {
			t.Errorf("%d times, %v", len(all), all)
		}
		for n := range 1000 { // different ones are not remembered without end
			server.Warn(fmt.Sprint("about ", string(rune('a'+n%26)), string(rune('a'+n/26))))
		}
		if n := len(log.Find(slog.LevelWarn, "about ")); n != 1000 {
			t.Errorf("%d different ones", n)
		}
	})
}
