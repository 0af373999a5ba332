// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/memory"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func TestConformance(t *testing.T) {
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		var down atomic.Bool
		q := memory.New(memory.Options{Lease: lease, Fault: func(context.Context, memory.Call, []string) error {
			if down.Load() {
				return errors.New("cut off")
			}
			return nil
		}})
		return consumertest.Queue{
			Open: q.Open, Lease: lease, AckGone: true,
			Send: func(_ context.Context, ms ...consumer.Message) error { q.Send(ms...); return nil },
			Len:  func(context.Context) (int, error) { return q.Len(), nil },
			Dead: func(context.Context) ([]consumer.Message, error) {
				var ms []consumer.Message
				for _, d := range q.Dead() {
					m := *d.Message
					m.ID, m.Attributes = "", consumer.DeadAttributes(d)
					ms = append(ms, m)
				}
				return ms, nil
			},
			Outage: func(*testing.T) func() {
				down.Store(true)
				q.Break()
				return func() { down.Store(false) }
			},
		}
	})
}
